// The pages of the console by name, with an address of each; `request` and `run` are ids of a request and of a task's run.

export const addresses = ({ request, run }) => ({
  overview: "/",
  discover: "/discover",
  request: `/requests/${request}`,
  efficiency: "/efficiency",
  dashboards: "/dashboards",
  alerts: "/alerts",
  probes: "/probes",
  sources: "/sources",
  processes: "/processes",
  resources: "/resources",
  keys: "/keys",
  users: "/users",
  settings: "/settings",
  "settings file": "/settings?tab=file",
  "settings history": "/settings?tab=history",
  account: "/account",
  tasks: "/tasks",
  "tasks batches": "/tasks?tab=batches",
  ...(run === undefined ? {} : { "a run": `/tasks?run=${run}` }),
});
