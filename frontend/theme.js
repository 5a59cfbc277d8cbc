// Sets the colour theme before anything is painted. "system" follows the device and is not stored.
const KEY = "videoproc-theme";
const dark = window.matchMedia("(prefers-color-scheme: dark)");

function chosen() {
  try {
    return localStorage.getItem(KEY) ?? "system";
  } catch {
    return "system"; // storage is blocked
  }
}

function apply() {
  const theme = chosen();
  const shown = theme === "system" ? (dark.matches ? "dark" : "light") : theme;
  document.documentElement.dataset.bsTheme = shown;
  document.documentElement.dataset.themeChoice = theme;
}

apply();
dark.addEventListener("change", apply);
document.addEventListener("videoproc:theme", (event) => {
  try {
    if (event.detail === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, event.detail);
  } catch {
    // Not remembered then; the page itself still follows below.
  }
  apply();
  if (chosen() !== event.detail) document.documentElement.dataset.bsTheme = event.detail;
});
