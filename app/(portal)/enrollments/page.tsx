import { HydrationBoundary } from "@tanstack/react-query";
import type { Metadata } from "next";
import { AddEnrollmentButtons, AddEnrollments } from "@/components/enrollments/add-enrollments";
import { EnrollmentList } from "@/components/enrollments/enrollment-list";
import { EnrollmentJobs } from "@/components/enrollments/jobs";
import { PageHeader } from "@/components/page-header";
import { prefetch } from "@/server/portal/prefetch";

export const metadata: Metadata = { title: "Enrollments" };

export default async function EnrollmentsPage() {
  return (
    <HydrationBoundary state={await prefetch(["enrollments", {}], ["enrollmentJobs", {}])}>
      <AddEnrollments>
        <PageHeader title="Enrollments" actions={<AddEnrollmentButtons />}>
          Devices that this account claims as its own before they come.
        </PageHeader>
        <div className="grid grid-cols-1 gap-5">
          <EnrollmentJobs />
          <EnrollmentList />
        </div>
      </AddEnrollments>
    </HydrationBoundary>
  );
}
