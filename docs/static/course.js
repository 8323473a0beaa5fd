// What scrolls by itself can be reached by the keyboard.
document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll(".bd-article table").forEach((table) => { table.tabIndex = 0; });
});
