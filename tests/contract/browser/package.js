// Map the names of modules to files: those of the official client to its package, which `?package=` selects.
const folder = new URLSearchParams(location.search).get("package") ?? "@odysseyml/odyssey";
const map = document.createElement("script");
map.type = "importmap";
map.textContent = JSON.stringify({
  imports: {
    "@odysseyml/odyssey": `/node_modules/${folder}/dist/index.js`,
    "@odysseyml/odyssey/react": `/node_modules/${folder}/dist/react.js`,
    react: "/react-module.js",
  },
});
document.currentScript.after(map);
