// Applies batches of operations (ops.hpp) to a document, and mounts a
// WebAssembly module that makes them.

export class Dom {
  // `handle(handler, value)` is told of events that a batch asked to listen to.
  constructor(root, handle) {
    this.root = root;
    this.handle = handle;
    this.nodes = [root];
    this.templates = [];
    this.names = [];
    this.events = new Set();
    this.decoder = new TextDecoder();
  }

  // `words` is a Uint32Array, `bytes` a Uint8Array of UTF-8.
  apply(words, bytes) {
    const { nodes, names, templates } = this;
    const all = this.decoder.decode(bytes);
    // When every character is one byte, slices of the text need no decoding of their own.
    const string = all.length === bytes.length
      ? (offset, length) => all.substring(offset, offset + length)
      : (offset, length) => this.decoder.decode(bytes.subarray(offset, offset + length));
    for (let i = 0; i < words.length;) {
      switch (words[i]) {
        case 1: {
          const count = words[i + 4];
          templates[words[i + 1]] = this.define(string(words[i + 2], words[i + 3]), words.subarray(i + 5, i + 5 + count));
          i += 5 + count;
          break;
        }
        case 2: {
          const { root, paths } = templates[words[i + 1]];
          let id = words[i + 2];
          const copy = root.cloneNode(true);
          nodes[id] = copy;
          for (const path of paths) {
            let node = copy;
            for (let k = 0; k < path.length; ++k) {
              node = node.firstChild;
              for (let n = path[k]; n > 0; --n) node = node.nextSibling;
            }
            nodes[++id] = node;
          }
          i += 3;
          break;
        }
        case 3: nodes[words[i + 1]].data = string(words[i + 2], words[i + 3]); i += 4; break;
        case 4: {
          const node = nodes[words[i + 1]];
          const name = names[words[i + 2]];
          const value = string(words[i + 3], words[i + 4]);
          if (name === "class" && node.namespaceURI === "http://www.w3.org/1999/xhtml") node.className = value;
          else if (name === "value") node.value = value;
          else node.setAttribute(name, value);
          i += 5;
          break;
        }
        case 5: nodes[words[i + 1]].removeAttribute(names[words[i + 2]]); i += 3; break;
        case 6: names[words[i + 1]] = string(words[i + 2], words[i + 3]); i += 4; break;
        case 7: {
          const before = nodes[words[i + 2]];
          before.parentNode.insertBefore(nodes[words[i + 1]], before);
          i += 3;
          break;
        }
        case 8: nodes[words[i + 2]].appendChild(nodes[words[i + 1]]); i += 3; break;
        case 9: nodes[words[i + 1]].remove(); i += 2; break;
        case 10: {
          for (let id = words[i + 1], end = id + words[i + 2]; id < end; ++id) nodes[id] = undefined;
          i += 3;
          break;
        }
        case 11: this.listen(nodes[words[i + 1]], names[words[i + 2]], words[i + 3]); i += 4; break;
        case 12: {
          const node = nodes[words[i + 1]];
          const parent = node.parentNode;
          let count = words[i + 2];
          if (parent.childNodes.length === count + 1 && parent.lastChild === node) parent.replaceChildren(node);
          else for (; count > 0; --count) node.previousSibling.remove();
          i += 3;
          break;
        }
        default: throw new Error(`unknown operation ${words[i]}`);
      }
    }
  }

  // Where the holes are: child indices from the root. A hole in content that
  // takes text is a text node in the template itself.
  define(html, holes) {
    const template = document.createElement("template");
    template.innerHTML = html;
    const root = template.content.firstChild;
    const walker = document.createTreeWalker(root);
    const order = [root];
    while (walker.nextNode()) order.push(walker.currentNode);
    const paths = Array.from(holes, (hole) => {
      const path = [];
      for (let node = order[hole >> 1]; node !== root; node = node.parentNode) {
        let index = 0;
        for (let before = node.previousSibling; before; before = before.previousSibling) ++index;
        path.unshift(index);
      }
      return path;
    });
    for (const hole of holes) if (hole & 1) order[hole >> 1].replaceWith(document.createTextNode(""));
    return { root, paths };
  }

  // One listener for each kind of event, on the root; the nearest node on the way up that listens is told.
  listen(node, event, handler) {
    const key = `grove-${event}`;
    node[key] = handler;
    if (this.events.has(event)) return;
    this.events.add(event);
    this.root.addEventListener(event, (happened) => {
      for (let target = happened.target; target && target !== this.root.parentNode; target = target.parentNode) {
        const known = target[key];
        if (known === undefined) continue;
        this.handle(known, String(target.value ?? ""));
        return;
      }
    }, { capture: event === "focus" || event === "blur" });
  }
}

// Instantiates a page's module (its bytes, or compiled) and mounts it in `root`.
export async function mount(module, root) {
  const compiled = module instanceof WebAssembly.Module ? module : await WebAssembly.compile(module);
  const { exports } = await WebAssembly.instantiate(compiled, {});
  const dom = new Dom(root, (handler, value) => {
    const bytes = new TextEncoder().encode(value);
    const at = exports.grove_input(bytes.length);
    new Uint8Array(exports.memory.buffer, at, bytes.length).set(bytes);
    exports.grove_event(handler, bytes.length);
    flush();
  });
  const flush = () => {
    const { buffer } = exports.memory;
    dom.apply(new Uint32Array(buffer, exports.grove_words(), exports.grove_words_size()),
      new Uint8Array(buffer, exports.grove_text(), exports.grove_text_size()));
    exports.grove_applied();
  };
  exports._initialize();
  exports.grove_start();
  flush();
  return { exports, dom, flush };
}
