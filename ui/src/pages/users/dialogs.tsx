// The windows of the users page: make a user, set a password, remove a user.

import { useState } from "preact/hooks";
import { ROLES, type Role } from "../../api/session";
import { createUser, removeUser, setPassword, type User } from "../../api/users";
import { useChange } from "../../lib/use-change";
import { useUi } from "../../ui/context";
import { FormDialog } from "../../ui/dialog";
import { Choice, Field } from "../../ui/field";
import { ROLE_TEXTS } from "./roles";

export const PASSWORD_CHARS_MIN = 12;
export const PASSWORD_CHARS_MAX = 256;

interface Props {
  done: () => void;
  close: () => void;
}

export function CreateUserDialog({ done, close }: Props) {
  const { t } = useUi();
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("viewer");
  const [password, setPasswordText] = useState("");
  const roles = ROLES.map((each): [Role, string] => [each, t(ROLE_TEXTS[each].name)]);
  return (
    <FormDialog
      name="user-dialog"
      title={t("users.create")}
      class="user-form"
      change={useChange(() => createUser({ name, role, password }), done)}
      send={t("users.create")}
      sendName="user-submit"
      close={close}
    >
      <Field words={t("users.name")}>
        <input
          type="text"
          name="name"
          autocomplete="off"
          spellcheck={false}
          required
          maxLength={100}
          value={name}
          onInput={(event) => setName(event.currentTarget.value)}
        />
      </Field>
      <Choice
        words={t("users.role")}
        hint={t(ROLE_TEXTS[role].note)}
        name="role"
        value={role}
        options={roles}
        change={setRole}
      />
      <PasswordField words={t("users.password")} value={password} change={setPasswordText} />
    </FormDialog>
  );
}

interface PasswordFieldProps {
  words: string;
  value: string;
  change: (value: string) => void;
}

/** A new password; how long it has to be is said and asked for. */
export function PasswordField({ words, value, change }: PasswordFieldProps) {
  const { t } = useUi();
  return (
    <Field words={words} hint={t("users.password_hint", { count: PASSWORD_CHARS_MIN })}>
      <input
        type="password"
        name="new-password"
        autocomplete="new-password"
        required
        minLength={PASSWORD_CHARS_MIN}
        maxLength={PASSWORD_CHARS_MAX}
        value={value}
        onInput={(event) => change(event.currentTarget.value)}
      />
    </Field>
  );
}

export function PasswordDialog({ user, done, close }: Props & { user: User }) {
  const { t } = useUi();
  const [password, setPasswordText] = useState("");
  return (
    <FormDialog
      name="password-dialog"
      title={t("users.password_of", { name: user.name })}
      class="user-form"
      change={useChange(() => setPassword(user.id, password), done)}
      send={t("users.set_password")}
      sendName="user-submit"
      close={close}
    >
      <p>{t("users.password_text")}</p>
      <PasswordField words={t("users.new_password")} value={password} change={setPasswordText} />
    </FormDialog>
  );
}

export function RemoveUserDialog({ user, done, close }: Props & { user: User }) {
  const { t } = useUi();
  return (
    <FormDialog
      name="remove-dialog"
      title={t("users.remove_name", { name: user.name })}
      change={useChange(() => removeUser(user.id), done)}
      send={t("users.remove")}
      sendName="user-submit"
      danger
      close={close}
    >
      <p>{t("users.remove_text")}</p>
    </FormDialog>
  );
}
