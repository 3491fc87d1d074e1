// The table of krausest.hpp in plain JavaScript: what a page can cost at least.

const row = document.createElement("template");
row.innerHTML = '<tr><td class="col-md-1"> </td><td class="col-md-4"><a> </a></td><td class="col-md-1"><a>' +
  '<span class="glyphicon glyphicon-remove" aria-hidden="true"></span></a></td><td class="col-md-6"></td></tr>';

export function table(body, labels) {
  let rows = [];
  let last = 0;
  let selected;
  const make = (count) => {
    for (let i = 0; i < count; ++i) {
      const node = row.content.firstChild.cloneNode(true);
      const [id, label] = node.childNodes;
      id.firstChild.data = ++last;
      label.firstChild.firstChild.data = labels();
      rows.push(node);
      body.appendChild(node);
    }
  };
  const clear = () => { rows = []; body.textContent = ""; };
  body.addEventListener("click", ({ target }) => {
    const node = target.closest("tr");
    if (target.closest("span")) { rows.splice(rows.indexOf(node), 1); node.remove(); return; }
    if (selected) selected.className = "";
    selected = node;
    selected.className = "danger";
  });
  return {
    run() { clear(); make(1000); },
    runlots() { clear(); make(10000); },
    add() { make(1000); },
    update() { for (let i = 0; i < rows.length; i += 10) rows[i].childNodes[1].firstChild.firstChild.data += " !!!"; },
    clear,
    swaprows() {
      if (rows.length < 999) return;
      const [a, b] = [rows[1], rows[998]];
      const after = b.nextSibling;
      body.insertBefore(b, a);
      body.insertBefore(a, after);
      rows[1] = b;
      rows[998] = a;
    },
  };
}
