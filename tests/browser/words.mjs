// Words of another language on a Chinese page: those in Latin letters that are no name of anything.

/**
 * Runs in the page: the words in Latin letters that stand in what the page itself says, each with where it stands. Left out is what
 * says of itself that it is no text of the page: code, what is not to be translated (values of records), what is marked as English,
 * and the conditions of rules, which are made of queries.
 * Ids, names of fields and files, numbers with their units and versions have other characters than letters, and are no words.
 */
export const latinWords = () => {
  const DATA = 'code, pre, textarea, svg, canvas, script, style, .katex, .rule-when, [translate="no"], [lang="en"]';
  const WORD = /^[A-Za-z]{3,}[.,;:]?$/;
  const found = new Map();
  const note = (element, text) => {
    for (const token of text.split(/[\s\u3000-\u303f\uff00-\uffef·→×–“”‘’…(){}[\]<>"'|+]+/u)) {
      if (!WORD.test(token)) continue;
      const at = element.closest("[data-testid]")?.dataset.testid ?? element.closest("[class]")?.getAttribute("class") ?? element.localName;
      found.set(token.replace(/[.,;:]$/, ""), `${at}: ${text.trim().replace(/\s+/g, " ").slice(0, 80)}`);
    }
  };
  for (const element of document.body.querySelectorAll("*")) {
    if (element.closest(DATA) !== null || !element.checkVisibility({ checkVisibilityCSS: true })) continue;
    for (const name of ["aria-label", "placeholder"]) if (element.hasAttribute(name)) note(element, element.getAttribute(name));
    for (const node of element.childNodes) if (node.nodeType === Node.TEXT_NODE) note(element, node.data);
  }
  return [...found];
};
