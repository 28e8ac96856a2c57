import type { FieldView, SchemaView } from "@/server/portal/reference/schema";
import { Badge } from "../status";

/** The fields of an object, or the shapes that it may have. */
export function SchemaBody({
  schema,
  given = false,
  depth = 0,
}: {
  schema: SchemaView;
  /** It is what a program sends: it matters what is needed. Of what it gets, it matters what may be missing. */
  given?: boolean;
  depth?: number;
}) {
  if (schema.variants.length > 0)
    return (
      <div className="grid gap-3 p-4">
        <p className="text-muted text-xs">One of these:</p>
        {schema.variants.map((variant, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: shapes have no names and never change places
          <div key={index} className="overflow-hidden rounded-md border border-line">
            <p className="bg-sunken px-4 py-1.5 text-muted text-xs">{variant.type}</p>
            <SchemaBody schema={variant} given={given} depth={depth + 1} />
          </div>
        ))}
      </div>
    );
  if (schema.fields.length === 0)
    return (
      <div className="px-4 py-2.5 text-sm">
        <span className="text-muted">{capital(schema.type)}</span>
        <Limits of={schema} />
      </div>
    );
  return (
    <ul className="divide-y divide-line">
      {schema.fields.map((field) => (
        <Field key={field.name} field={field} given={given} depth={depth} />
      ))}
    </ul>
  );
}

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

/** One field or parameter: its name, its type, whether it is needed, what it means, and what is inside. */
export function Field({
  field,
  where,
  given,
  depth = 0,
}: {
  field: FieldView;
  where?: string;
  given: boolean;
  depth?: number;
}) {
  const nested = field.fields.length + field.variants.length > 0;
  return (
    <li className="px-4 py-2.5">
      <div className="flex flex-wrap items-baseline gap-x-3 gap-y-0.5">
        <span className="break-all font-medium font-mono text-xs">{field.name}</span>
        <span className="text-muted text-xs">
          {field.type}
          {where ? `, in the ${where}` : null}
        </span>
        {given && field.required ? <Badge>required</Badge> : null}
        {given || field.required ? null : <Badge>may be missing</Badge>}
      </div>
      {field.description ? <p className="mt-0.5 text-sm">{inlineCode(field.description)}</p> : null}
      <Limits of={field} />
      {nested ? (
        <details className="mt-1.5 text-sm" open={depth === 0 && field.fields.length <= 6}>
          <summary className="cursor-pointer rounded text-accent text-xs">
            {field.variants.length > 0 ? "Its shapes" : "Its fields"}
          </summary>
          <div className="mt-1.5 overflow-hidden rounded-md border border-line">
            <SchemaBody schema={field} given={given} depth={depth + 1} />
          </div>
        </details>
      ) : null}
    </li>
  );
}

function Limits({ of: { choices, limits } }: { of: SchemaView }) {
  if (choices.length + limits.length === 0) return null;
  return (
    <p className="mt-0.5 text-muted text-xs">
      {choices.length > 0 ? (
        <>
          {choices.length === 1 ? "Always " : "One of "}
          {choices.map((choice, index) => (
            <span key={choice}>
              {index > 0 ? ", " : null}
              <code className="break-all font-mono text-ink">{choice}</code>
            </span>
          ))}
          {limits.length > 0 ? "; " : null}
        </>
      ) : null}
      {limits.length > 0 ? <span className="break-words">{limits.join(", ")}</span> : null}
    </p>
  );
}

/** What stands between backticks is code. */
export function inlineCode(text: string) {
  return text.split("`").map((part, index) =>
    index % 2 === 1 ? (
      // biome-ignore lint/suspicious/noArrayIndexKey: parts of one text never change places
      <code key={index} className="break-words rounded bg-sunken px-1 font-mono text-xs">
        {part}
      </code>
    ) : (
      part
    ),
  );
}
