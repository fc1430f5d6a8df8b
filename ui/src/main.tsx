// Starts the console.

import "./style/main.css";
import { render } from "preact";
import { App } from "./app";
import { dropToken } from "./lib/route";

dropToken();
const root = document.getElementById("app");
if (root !== null) render(<App />, root);
