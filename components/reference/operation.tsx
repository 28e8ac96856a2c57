import type { OperationView, ResponseView } from "@/server/portal/reference";
import { SCOPES } from "../access/scopes";
import { plural } from "../format";
import { Badge } from "../status";
import { CodeBlock, CopyButton } from "../ui/copy";
import { Notice, Panel } from "../ui/panel";
import { Method } from "./method";
import { Field, inlineCode, SchemaBody } from "./schema";

/** Everything that is said of one operation. */
export function Operation({ operation, command }: { operation: OperationView; command: string }) {
  const good = operation.responses.filter(({ status }) => Number(status) < 400);
  const bad = operation.responses.filter(({ status }) => Number(status) >= 400);
  const scope = operation.scope ? SCOPES[operation.scope as keyof typeof SCOPES] : undefined;
  return (
    <article className="grid grid-cols-1 gap-5">
      <header>
        <p className="text-muted text-xs">{operation.tag}</p>
        <h1 className="font-semibold text-xl">{inlineCode(operation.summary)}</h1>
        <p className="mt-2 flex items-start gap-1">
          <Method method={operation.method} className="w-auto pr-1.5 text-xs leading-6" />
          <span className="min-w-0 break-all font-mono text-sm leading-6">{operation.path}</span>
          <CopyButton text={operation.path} label="Copy the path" className="-my-0.5" />
        </p>
        {operation.description ? (
          <p className="mt-2 max-w-2xl text-sm">{inlineCode(operation.description)}</p>
        ) : null}
        {operation.scope ? (
          <p className="mt-2 flex flex-wrap items-baseline gap-2 text-muted text-sm">
            <Badge tone="info">{operation.scope}</Badge>
            <span>What its key must be allowed to{scope ? `: ${scope.short}` : ""}.</span>
          </p>
        ) : null}
      </header>
      {operation.deprecated ? (
        <Notice tone="warn">
          It is served for programs that use it already. New ones have a better way.
        </Notice>
      ) : null}

      <section aria-label="Example">
        <CodeBlock code={command} label="the command" />
        {command.includes("https://") ? (
          <p className="mt-1.5 text-muted text-xs">
            With the certificate of this instance’s own CA, add{" "}
            <code className="font-mono">--cacert gangway-server-ca.pem</code>; the page “Server” has the file.
          </p>
        ) : null}
      </section>

      {operation.parameters.length > 0 ? (
        <Panel title="Parameters">
          <ul className="divide-y divide-line">
            {operation.parameters.map((parameter) => (
              <Field
                key={`${parameter.where} ${parameter.name}`}
                field={parameter}
                given
                where={parameter.where === "query" ? undefined : parameter.where}
              />
            ))}
          </ul>
        </Panel>
      ) : null}

      {operation.filters.length > 0 ? (
        <Panel
          title="Filters"
          description="As parameters of the query: the field, two underscores, the operator. A bare field name means eq."
        >
          <details>
            <summary className="cursor-pointer px-4 py-2.5 text-accent text-sm -outline-offset-2">
              {plural(operation.filters.length, "field")}, for instance{" "}
              <code className="font-mono text-xs">
                {operation.filters[0]?.field}__{operation.filters[0]?.operators[0]}
              </code>
            </summary>
            <dl className="grid gap-px border-line border-t bg-line sm:grid-cols-2">
              {operation.filters.map(({ field, operators }) => (
                <div key={field} className="bg-surface px-4 py-1.5">
                  <dt className="break-all font-mono text-xs">{field}</dt>
                  <dd className="text-muted text-xs">{operators.join(", ")}</dd>
                </div>
              ))}
            </dl>
          </details>
        </Panel>
      ) : null}

      {operation.bodies.map((body) => (
        <Panel
          key={body.contentType}
          title="Body"
          description={`${body.contentType}${body.required ? "" : ", optional"}`}
        >
          {body.schema ? <SchemaBody schema={body.schema} given /> : null}
        </Panel>
      ))}

      {good.map((response) => (
        <Answer key={response.status} response={response} />
      ))}

      {bad.length > 0 ? (
        <Panel title="Errors">
          <dl className="divide-y divide-line">
            {bad.map(({ status, description }) => (
              <div key={status} className="flex gap-4 px-4 py-2 text-sm">
                <dt className="tabular font-mono text-xs leading-5">{status}</dt>
                <dd className="min-w-0">{inlineCode(description)}</dd>
              </div>
            ))}
          </dl>
          <ErrorShape responses={bad} />
        </Panel>
      ) : null}
    </article>
  );
}

function Answer({ response }: { response: ResponseView }) {
  const { status, description, contentType, schema } = response;
  return (
    <Panel
      title={
        <>
          Answer <span className="font-mono">{status}</span>
        </>
      }
      description={`${description}${contentType ? ` ${contentType}` : ""}`}
    >
      {schema ? (
        <>
          <p className="px-4 pt-2.5 text-muted text-xs">{schema.fields.length > 0 ? schema.type : null}</p>
          <SchemaBody schema={schema} />
        </>
      ) : null}
    </Panel>
  );
}

function ErrorShape({ responses }: { responses: ResponseView[] }) {
  const json = responses.find(({ schema }) => schema && schema.fields.length > 0)?.schema;
  if (!json) return null;
  return (
    <details className="border-line border-t">
      <summary className="cursor-pointer px-4 py-2.5 text-accent text-sm -outline-offset-2">
        What an error looks like
      </summary>
      <div className="border-line border-t">
        <SchemaBody schema={json} />
      </div>
    </details>
  );
}
