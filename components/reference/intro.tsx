import { ChevronRight } from "lucide-react";
import Link from "next/link";
import { SCOPES } from "../access/scopes";
import { plural } from "../format";
import { Badge } from "../status";
import { CodeBlock } from "../ui/copy";
import { Panel } from "../ui/panel";
import { Method } from "./method";

interface NotServed {
  title: string;
  reason: string;
  operations: { methods: string[]; path: string }[];
}

/** What to know before the first request, and what is not there. */
export function ReferenceIntro({
  origin,
  version,
  notServed,
}: {
  origin: string;
  version: string;
  notServed: NotServed[];
}) {
  return (
    <div className="grid grid-cols-1 gap-5">
      <Panel title="The first request" description={`Gangway ${version} at ${origin}`}>
        <ol className="grid grid-cols-1 gap-4 p-4 text-sm">
          <li className="grid grid-cols-1 gap-2">
            <p>
              <Link href="/keys" className="rounded text-accent underline underline-offset-2">
                Make an API key
              </Link>{" "}
              and put it where every example looks for it. For a program that you will run for long, make an{" "}
              <Link href="/applications" className="rounded text-accent underline underline-offset-2">
                application
              </Link>
              : its keys can be changed one after the other.
            </p>
            <CodeBlock code={`export GANGWAY_KEY=ak_…`} label="the command that sets the key" />
          </li>
          <li className="grid grid-cols-1 gap-2">
            <p>Ask for the devices that are registered.</p>
            <CodeBlock
              code={`curl '${origin}/v3/devices?state__eq=registered' \\\n  -H "Authorization: Bearer $GANGWAY_KEY"`}
              label="the command"
            />
            {origin.startsWith("https:") ? (
              <p className="text-muted text-xs">
                With the certificate of this instance’s own CA, add{" "}
                <code className="font-mono">--cacert gangway-server-ca.pem</code>; the page{" "}
                <Link href="/server" className="text-accent underline underline-offset-2">
                  Server
                </Link>{" "}
                has the file.
              </p>
            ) : null}
          </li>
        </ol>
      </Panel>

      <Panel
        title="Scopes"
        description="A key may be restricted to some of these; each operation names its own."
      >
        <dl className="divide-y divide-line">
          {Object.entries(SCOPES).map(([scope, { short }]) => (
            <div key={scope} className="flex flex-wrap items-baseline gap-x-3 gap-y-1 px-4 py-2 text-sm">
              <dt className="w-24">
                <Badge tone="info">{scope}</Badge>
              </dt>
              <dd className="min-w-0">To {short}.</dd>
            </div>
          ))}
        </dl>
      </Panel>

      <Panel title="Rules for every request">
        <ul className="grid list-disc gap-1.5 py-3 pr-4 pl-9 text-sm">
          <li>Trailing and doubled slashes do not matter, and nothing is redirected.</li>
          <li>
            Times are UTC with milliseconds; IDs are 32 hexadecimal characters. Those of others are 404.
          </li>
          <li>
            Lists take <code className="font-mono text-xs">limit</code>,{" "}
            <code className="font-mono text-xs">after</code>, <code className="font-mono text-xs">order</code>{" "}
            and <code className="font-mono text-xs">include=total_count</code>.
          </li>
          <li>
            Every answer has an <code className="font-mono text-xs">X-Request-ID</code>; errors of /v3 are
            JSON, errors of /v2 a word of text.
          </li>
          <li>
            429 means too many requests; <code className="font-mono text-xs">Retry-After</code> says when to
            come back.
          </li>
        </ul>
      </Panel>

      <section aria-labelledby="not-served">
        <h2 id="not-served" className="font-semibold text-base">
          Operations of Pelion that are not served
        </h2>
        <p className="mt-1 mb-3 text-muted text-sm">They are answered 501, with the reason.</p>
        <Panel>
          <ul className="divide-y divide-line">
            {notServed.map(({ title, reason, operations }) => (
              <li key={title}>
                <details className="group">
                  <summary className="flex cursor-pointer list-none items-start gap-2 px-4 py-2.5 -outline-offset-2 hover:bg-hover/60 [&::-webkit-details-marker]:hidden">
                    <ChevronRight
                      className="mt-0.5 size-3.5 shrink-0 text-muted transition-transform group-open:rotate-90"
                      aria-hidden
                    />
                    <span className="min-w-0 flex-1">
                      <span className="block font-medium text-sm">{title}</span>
                      <span className="block text-muted text-xs">{reason}</span>
                    </span>
                    <span className="tabular shrink-0 text-muted text-xs">
                      {plural(operations.length, "path")}
                    </span>
                  </summary>
                  <ul className="grid gap-0.5 bg-sunken px-4 py-3 pl-9">
                    {operations.map(({ methods, path }) => (
                      <li key={`${methods} ${path}`} className="flex flex-wrap gap-x-2">
                        <span className="flex w-40 flex-wrap gap-x-1.5">
                          {methods.map((method) => (
                            <Method key={method} method={method} className="w-auto" />
                          ))}
                        </span>
                        <span className="min-w-0 break-all font-mono text-2xs leading-5">{path}</span>
                      </li>
                    ))}
                  </ul>
                </details>
              </li>
            ))}
          </ul>
        </Panel>
      </section>
    </div>
  );
}
