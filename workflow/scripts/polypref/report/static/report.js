"use strict";
// One language of the samples at a time. Without the script all of them are shown, one below the other.
const tabs = document.querySelector(".tabs");
if (tabs) {
  const show = (language) => {
    for (const part of document.querySelectorAll(".sample")) part.hidden = part.dataset.language !== language;
    for (const tab of tabs.children) tab.setAttribute("aria-pressed", String(tab.dataset.language === language));
  };
  tabs.hidden = false;
  tabs.addEventListener("click", (event) => {
    const tab = event.target.closest("button");
    if (tab) show(tab.dataset.language);
  });
  const languages = Array.from(tabs.children, (tab) => tab.dataset.language);
  show(languages.find((language) => language !== "en") ?? languages[0]);
}
