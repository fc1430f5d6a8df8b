// A rule that is not there yet: its name, and its text, tried while one writes it.

import { useState } from "preact/hooks";
import type { Session } from "../../api/session";
import { address, type Changes, changed, go } from "../../lib/route";
import { useUi } from "../../ui/context";
import { Field } from "../../ui/field";
import { Icon } from "../../ui/icon";
import { Link } from "../../ui/link";
import { Panel } from "../../ui/panel";
import { Try } from "./try";

const TEXT = [
  'query: "kind:request AND NOT origin:(probe OR replay OR task) AND http_status:>=500"',
  'count: ">= 5"',
  "within: 5m",
  "group_by: model_name",
  "severity: warning",
].join("\n");

interface Props {
  params: URLSearchParams;
  session: Session;
  show: (changes: Changes) => void;
  reload: () => void;
}

export function NewRule({ params, session, show, reload }: Props) {
  const { t } = useUi();
  const [name, setName] = useState("");
  const [text, setText] = useState(TEXT);
  const rule = { name: name.trim(), yaml: "", origin: "console" as const, saved: null };
  const done = () => {
    reload();
    go(address("alerts", changed(params, { rule: rule.name, new: null, days: null })));
  };
  return (
    <div class="rule-page" data-testid="new-rule">
      <header class="request-head">
        <Link class="quiet-link" href={address("alerts", changed(params, { new: null, days: null }))}>
          {t("nav.alerts")}
          <Icon name="right" />
        </Link>
        <h1>{t("alerts.new")}</h1>
      </header>
      <Panel title={t("alerts.text")} note={t("alerts.text_note")}>
        <div class="new-rule-name">
          <Field words={t("alerts.new_name")} hint={t("alerts.new_name_hint")}>
            <input
              type="text"
              name="rule-name"
              data-testid="rule-name"
              autocomplete="off"
              spellcheck={false}
              maxLength={64}
              pattern="[A-Za-z0-9][A-Za-z0-9._\-]*"
              value={name}
              onInput={(event) => setName(event.currentTarget.value)}
            />
          </Field>
        </div>
        <Try rule={rule} text={text} setText={setText} params={params} session={session} show={show} done={done} />
      </Panel>
    </div>
  );
}
