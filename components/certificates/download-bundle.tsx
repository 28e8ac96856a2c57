"use client";
import { Download, FileKey2, ShieldAlert } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { takeCertificateBundle } from "@/app/actions";
import { Button } from "../ui/button";
import { Dialog, DialogActions } from "../ui/dialog";
import { Notice } from "../ui/panel";
import { useAct } from "../use-act";
import { RunDevice } from "./run-device";

export interface Downloadable {
  id: string;
  name: string;
  endpointName: string | null;
}

function save(fileName: string, url: string): void {
  const link = document.createElement("a");
  link.href = url;
  link.download = fileName;
  link.click();
}

/**
 * Hands out a bundle: the one time that the private key leaves the server. As long as the dialog is open the file
 * can be saved again, because a download that goes wrong could not be repeated.
 */
export function DownloadBundle({
  certificate,
  open,
  onOpenChange,
}: {
  certificate: Downloadable;
  open: boolean;
  onOpenChange: (open: boolean) => void;
}) {
  const { act, busy, failure } = useAct();
  const [file, setFile] = useState<{ fileName: string; url: string } | null>(null);
  const url = useRef<string>(undefined);
  useEffect(() => () => (url.current ? URL.revokeObjectURL(url.current) : undefined), []);

  async function take() {
    const result = await act(() => takeCertificateBundle({ id: certificate.id }), {
      stale: ["certificates", "overview"],
      quiet: true,
    });
    if (!result) return;
    const { fileName, zip } = result.data;
    url.current = URL.createObjectURL(new Blob([Uint8Array.from(zip)], { type: "application/zip" }));
    setFile({ fileName, url: url.current });
    save(fileName, url.current);
  }

  return (
    <Dialog
      open={open}
      onOpenChange={onOpenChange}
      locked={file !== null}
      wide
      title={
        file
          ? `Bundle of “${certificate.name}” is on its way`
          : `Download the bundle of “${certificate.name}”`
      }
      description={
        file
          ? "Your browser saves it now. Here is what to do with it."
          : "One zip file with everything a device needs: certificate, private key and where to connect."
      }
    >
      {file ? (
        <div className="grid gap-4">
          <RunDevice bundle={file.fileName} endpointName={certificate.endpointName} />
          <DialogActions>
            <Button size="md" onClick={() => save(file.fileName, file.url)}>
              <Download aria-hidden />
              Save again
            </Button>
            <Button variant="primary" size="md" onClick={() => onOpenChange(false)}>
              I have the file
            </Button>
          </DialogActions>
        </div>
      ) : (
        <div className="grid gap-4">
          <ul className="grid gap-1 text-sm">
            {CONTENTS.map(([name, what]) => (
              <li key={name} className="grid grid-cols-[auto_1fr] gap-2">
                <FileKey2 className="mt-0.5 size-4 text-muted" aria-hidden />
                <span>
                  <code className="break-all font-mono text-xs">{name}</code>{" "}
                  <span className="text-muted">{what}</span>
                </span>
              </li>
            ))}
          </ul>
          <Notice tone="warn" icon={<ShieldAlert aria-hidden />}>
            This works once. The private key is erased here with the download; nobody, not even an
            administrator, can get it again. If you lose the file, make a new certificate.
          </Notice>
          {failure ? (
            <p role="alert" className="text-bad text-sm">
              {failure.message}
            </p>
          ) : null}
          <DialogActions>
            <Button size="md" onClick={() => onOpenChange(false)}>
              Later
            </Button>
            <Button variant="primary" size="md" busy={busy} onClick={() => void take()}>
              <Download aria-hidden />
              Download the bundle
            </Button>
          </DialogActions>
        </div>
      )}
    </Dialog>
  );
}

const CONTENTS = [
  ["mbed_cloud_dev_credentials.c", "for Pelion's client, compiled in"],
  ["device.pem, key.pem, server-ca.pem", "and the same as .der, for any other client"],
  ["gangway.json", "for the reference device"],
  ["README.md", "with the commands filled in"],
] as const;
