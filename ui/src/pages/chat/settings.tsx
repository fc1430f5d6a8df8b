// What a chat is asked with: what the model is told first, and its parameters. Empty means as the server has it.

import { useState } from "preact/hooks";
import type { ChatSettings, Options } from "../../api/chats";
import type { TextKey } from "../../i18n/en";
import { useUi } from "../../ui/context";
import { Dialog } from "../../ui/dialog";

interface Props {
  settings: ChatSettings;
  save: (changes: Partial<ChatSettings>) => void;
  close: () => void;
}

interface NumberOption {
  name: string;
  text: TextKey;
  min: number;
  max: number;
  step: number;
}

const NUMBERS: NumberOption[] = [
  { name: "temperature", text: "chat.temperature", min: 0, max: 2, step: 0.1 },
  { name: "top_p", text: "chat.top_p", min: 0, max: 1, step: 0.05 },
  { name: "max_tokens", text: "chat.max_tokens", min: 1, max: 1_000_000, step: 1 },
  { name: "seed", text: "chat.seed", min: 0, max: 2_147_483_647, step: 1 },
];

const EFFORTS: { value: string; text: TextKey }[] = [
  { value: "", text: "chat.think_usual" },
  { value: "none", text: "chat.think_none" },
  { value: "low", text: "chat.think_low" },
  { value: "medium", text: "chat.think_medium" },
  { value: "high", text: "chat.think_high" },
];

const SYSTEM_CHARS_MAX = 20_000;

export function ChatSettingsDialog({ settings, save, close }: Props) {
  const { t } = useUi();
  const [system, setSystem] = useState(settings.system);
  const [options, setOptions] = useState<Options>(settings.options);

  const change = (name: string, value: number | string | null) => {
    const { [name]: _, ...rest } = options;
    setOptions(value === null ? rest : { ...rest, [name]: value });
  };
  const submit = (event: Event) => {
    event.preventDefault();
    save({ system, options });
    close();
  };

  return (
    <Dialog name="chat-settings-dialog" title={t("chat.settings")} close={close}>
      <form class="chat-settings" onSubmit={submit}>
        <label>
          <span>{t("chat.system")}</span>
          <textarea
            data-testid="chat-system"
            rows={5}
            maxLength={SYSTEM_CHARS_MAX}
            placeholder={t("chat.system_example")}
            value={system}
            onInput={(event) => setSystem(event.currentTarget.value)}
          />
        </label>
        <div class="chat-settings-numbers">
          {NUMBERS.map(({ name, text, min, max, step }) => (
            <label key={name}>
              <span>{t(text)}</span>
              <input
                type="number"
                name={name}
                data-testid={`chat-option-${name}`}
                min={min}
                max={max}
                step={step}
                placeholder={t("chat.usual")}
                value={options[name] ?? ""}
                onInput={(event) => {
                  const value = event.currentTarget.valueAsNumber;
                  change(name, Number.isFinite(value) ? value : null);
                }}
              />
            </label>
          ))}
          <label>
            <span>{t("chat.think")}</span>
            <select
              data-testid="chat-option-think"
              value={String(options.reasoning_effort ?? "")}
              onChange={(event) => change("reasoning_effort", event.currentTarget.value || null)}
            >
              {EFFORTS.map(({ value, text }) => (
                <option key={value} value={value}>
                  {t(text)}
                </option>
              ))}
            </select>
          </label>
        </div>
        <div class="dialog-actions">
          <button type="button" class="button" onClick={close}>
            {t("common.cancel")}
          </button>
          <button type="submit" class="button primary" data-testid="chat-settings-save">
            {t("chat.settings_save")}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
