// The page of a broadcast.

import { html, render } from "components/html.js";

render(html`<main><h1>Odyssey broadcast</h1></main>`, document.getElementById("app"));
