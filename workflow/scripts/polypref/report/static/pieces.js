// Loads data in pieces. Each piece is a script with a single call, polypref.piece(name, data). See pieces.py.
const polypref = (() => {
  const asked = new Map();
  const waiting = new Map();
  const address = (name) => {
    if (!/^[a-z0-9-]+$/i.test(name)) throw new Error(`${name}: invalid name of a data file`);
    return `data/${name}.js`;
  };
  const policy = window.trustedTypes?.createPolicy("pieces", { createScriptURL: address });

  const load = (name) => {
    if (!asked.has(name)) {
      asked.set(name, new Promise((resolve, reject) => {
        const script = document.createElement("script");
        waiting.set(name, resolve);
        script.addEventListener("load", () => {
          script.remove();
          if (waiting.has(name)) reject(new Error(`data/${name}.js does not contain the expected data; rebuild the report`));
        });
        script.addEventListener("error", () => {
          script.remove();
          asked.delete(name);
          reject(new Error(`data/${name}.js could not be read; keep index.html together with the rest of the report folder`));
        });
        script.src = policy ? policy.createScriptURL(name) : address(name);
        document.head.append(script);
      }));
    }
    return asked.get(name);
  };
  const piece = (name, data) => {
    waiting.get(name)?.(data);
    waiting.delete(name);
  };
  return { load, piece };
})();

// The index of the piece that contains row `number`; `starts` holds the first row of each piece.
const pieceOf = (starts, number) => {
  let low = 0;
  let high = starts.length;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (starts[middle] <= number) low = middle;
    else high = middle;
  }
  return low;
};
const pieceName = (stem, place) => `${stem}-${String(place).padStart(3, "0")}`;
const loadRow = async (stem, starts, number) => {
  const place = pieceOf(starts, number);
  return (await polypref.load(pieceName(stem, place)))[number - starts[place]];
};
