#include "grove/web/common/document.hpp"

#include <algorithm>

namespace grove::web {

namespace {

using Node = std::shared_ptr<DomNode>;

Node make(DomNode::Kind kind, std::string name) {
  auto node = std::make_shared<DomNode>();
  node->kind = kind;
  node->name = std::move(name);
  return node;
}

std::string unescape(std::string_view text) {
  static constexpr std::pair<std::string_view, std::string_view> kEntities[] = {
      {"&lt;", "<"}, {"&gt;", ">"}, {"&quot;", "\""}, {"&#39;", "'"}, {"&nbsp;", "\u00a0"}, {"&amp;", "&"}};
  std::string out;
  while (!text.empty()) {
    const auto* entity =
        std::find_if(std::begin(kEntities), std::end(kEntities), [&](auto& e) { return text.starts_with(e.first); });
    if (entity != std::end(kEntities)) {
      out += entity->second;
      text.remove_prefix(entity->first.size());
    } else {
      out += text.front();
      text.remove_prefix(1);
    }
  }
  return out;
}

// Reads what template.hpp let through: well-formed tags, texts and empty comments.
Result<Node> parse(std::string_view in) {
  const auto bad = [] { return fail(Errc::corrupt, "a template that isn't well-formed HTML"); };
  Node root;
  std::vector<DomNode*> open;
  while (!in.empty()) {
    if (in.starts_with("<!---->") || in.front() != '<') {
      if (open.empty()) return bad();
      const bool comment = in.front() == '<';
      const std::size_t length = comment ? 7 : std::min(in.find('<'), in.size());
      auto node = make(comment ? DomNode::Kind::comment : DomNode::Kind::text,
                       comment ? std::string() : unescape(in.substr(0, length)));
      node->parent = open.back();
      open.back()->children.push_back(std::move(node));
      in.remove_prefix(length);
    } else if (in.starts_with("</")) {
      const std::size_t end = in.find('>');
      if (end == in.npos || open.empty()) return bad();
      open.pop_back();
      in.remove_prefix(end + 1);
    } else {
      in.remove_prefix(1);
      const auto name = [&] {
        std::size_t length = 0;
        while (length < in.size() && detail::is_name(in[length])) ++length;
        std::string out(in.substr(0, length));
        in.remove_prefix(length);
        return out;
      };
      auto node = make(DomNode::Kind::element, name());
      if (node->name.empty() || open.size() > 64) return bad();
      while (!in.empty() && in.front() != '>') {
        if (detail::is_space(in.front())) {
          in.remove_prefix(1);
          continue;
        }
        std::string key = name();
        if (key.empty()) return bad();
        std::string value;
        if (in.starts_with('=')) {
          in.remove_prefix(1);
          if (in.empty() || (in.front() != '"' && in.front() != '\'')) return bad();
          const std::size_t end = in.find(in.front(), 1);
          if (end == in.npos) return bad();
          value = unescape(in.substr(1, end - 1));
          in.remove_prefix(end + 1);
        }
        node->attributes.emplace_back(std::move(key), std::move(value));
      }
      if (in.empty()) return bad();
      in.remove_prefix(1);
      DomNode* raw = node.get();
      if (!open.empty()) {
        node->parent = open.back();
        open.back()->children.push_back(std::move(node));
      } else if (root == nullptr) {
        root = std::move(node);
      } else {
        return bad();
      }
      if (!detail::is_void(raw->name)) open.push_back(raw);
    }
  }
  if (root == nullptr || !open.empty()) return bad();
  return root;
}

Node copy(const DomNode& from, DomNode* parent) {
  auto node = std::make_shared<DomNode>(from);
  node->parent = parent;
  for (auto& child : node->children) child = copy(*child, node.get());
  return node;
}

void in_order(const Node& node, std::vector<Node>& out) {
  out.push_back(node);
  for (const auto& child : node->children) in_order(child, out);
}

void detach(DomNode& node) {
  if (node.parent == nullptr) return;
  std::erase_if(node.parent->children, [&](const Node& child) { return child.get() == &node; });
  node.parent = nullptr;
}

bool holds(const DomNode& node, const DomNode* inner) {
  for (; inner != nullptr; inner = inner->parent) {
    if (inner == &node) return true;
  }
  return false;
}

void write(const DomNode& node, std::string& out) {
  switch (node.kind) {
    case DomNode::Kind::text: return escape_html(node.name, false, out);
    case DomNode::Kind::comment: out += "<!---->"; return;
    case DomNode::Kind::element: break;
  }
  out += '<' + node.name;
  for (const auto& [name, value] : node.attributes) {
    out += ' ' + name + "=\"";
    escape_html(value, true, out);
    out += '"';
  }
  out += '>';
  if (detail::is_void(node.name)) return;
  for (const auto& child : node.children) write(*child, out);
  out += "</" + node.name + '>';
}

}  // namespace

void escape_html(std::string_view text, bool in_attribute, std::string& out) {
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (in_attribute && c == '"') {
      out += "&quot;";
    } else if (text.substr(i).starts_with("\u00a0")) {
      out += "&nbsp;";
      ++i;
    } else {
      out += c;
    }
  }
}

const std::string* DomNode::attribute(std::string_view attribute_name) const {
  for (const auto& [key, held] : attributes) {
    if (key == attribute_name) return &held;
  }
  return nullptr;
}

Document::Document(std::string root) { nodes_.push_back(make(DomNode::Kind::element, std::move(root))); }

Result<void> Document::apply(std::span<const std::uint32_t> words, std::string_view text) {
  std::size_t at = 0;
  bool good = true;
  const auto next = [&]() -> std::uint32_t {
    if (at < words.size()) return words[at++];
    good = false;
    return 0;
  };
  const auto string = [&]() -> std::string_view {
    const std::uint32_t offset = next();
    const std::uint32_t length = next();
    if (good && offset <= text.size() && length <= text.size() - offset) return text.substr(offset, length);
    good = false;
    return {};
  };
  const auto node = [&](DomNode::Kind kind) -> Node {
    const std::uint32_t id = next();
    if (good && id < nodes_.size() && nodes_[id] != nullptr && nodes_[id]->kind == kind) return nodes_[id];
    good = false;
    return nullptr;
  };
  const auto any = [&]() -> Node {
    const std::uint32_t id = next();
    if (good && id < nodes_.size() && nodes_[id] != nullptr) return nodes_[id];
    good = false;
    return nullptr;
  };
  const auto name = [&]() -> std::string_view {
    const std::uint32_t id = next();
    if (good && id < names_.size()) return names_[id];
    good = false;
    return {};
  };
  constexpr auto kElement = DomNode::Kind::element;
  while (at < words.size() && good) {
    const std::size_t start = at;
    switch (static_cast<Op>(next())) {
      case Op::define_template: {
        const std::uint32_t index = next();
        const std::string_view html = string();
        const std::uint32_t count = next();
        if (!good || index != templates_.size() || count > words.size() - at) {
          good = false;
          break;
        }
        GROVE_TRY(Node root, parse(html));
        std::vector<Node> order;
        in_order(root, order);
        Template made{root, {}};
        for (std::uint32_t i = 0; i < count; ++i) {
          const std::uint32_t hole = next();
          if ((hole >> 1) >= order.size()) return fail(Errc::corrupt, "a template's hole lies outside of it");
          if ((hole & 1) != 0) order[hole >> 1]->kind = DomNode::Kind::text;
          made.holes.push_back(hole >> 1);
        }
        templates_.push_back(std::move(made));
        break;
      }
      case Op::clone: {
        const std::uint32_t index = next();
        const std::uint32_t first = next();
        if (!good || index >= templates_.size() || first == 0 || first > nodes_.size()) {
          good = false;
          break;
        }
        const Template& from = templates_[index];
        std::vector<Node> order;
        in_order(copy(*from.root, nullptr), order);
        if (nodes_.size() < first + from.holes.size() + 1) nodes_.resize(first + from.holes.size() + 1);
        nodes_[first] = order[0];
        for (std::size_t i = 0; i < from.holes.size(); ++i) nodes_[first + 1 + i] = order[from.holes[i]];
        break;
      }
      case Op::text: {
        const Node target = node(DomNode::Kind::text);
        const std::string_view value = string();
        if (good) target->name = value;
        break;
      }
      case Op::attribute: {
        const Node target = node(kElement);
        const std::string_view key = name();
        const std::string_view value = string();
        if (!good) break;
        if (key == "value") {
          target->value = value;
          break;
        }
        auto& attributes = target->attributes;
        const auto known = std::find_if(attributes.begin(), attributes.end(), [&](auto& a) { return a.first == key; });
        if (known != attributes.end()) {
          known->second = value;
        } else {
          attributes.emplace_back(key, value);
        }
        break;
      }
      case Op::remove_attribute: {
        const Node target = node(kElement);
        const std::string_view key = name();
        if (good) std::erase_if(target->attributes, [&](auto& a) { return a.first == key; });
        break;
      }
      case Op::define_name: {
        const std::uint32_t index = next();
        const std::string_view value = string();
        good = good && index == names_.size();
        if (good) names_.emplace_back(value);
        break;
      }
      case Op::insert: {
        const Node target = any();
        const Node before = any();
        good = good && before->parent != nullptr && !holds(*target, before.get());
        if (!good) break;
        detach(*target);
        auto& siblings = before->parent->children;
        siblings.insert(std::find(siblings.begin(), siblings.end(), before), target);
        target->parent = before->parent;
        break;
      }
      case Op::append: {
        const Node target = any();
        const Node parent = node(kElement);
        good = good && !holds(*target, parent.get());
        if (!good) break;
        detach(*target);
        parent->children.push_back(target);
        target->parent = parent.get();
        break;
      }
      case Op::remove:
        if (const Node target = any()) detach(*target);
        break;
      case Op::forget: {
        const std::uint32_t first = next();
        const std::uint32_t count = next();
        good = good && first != 0 && first <= nodes_.size() && count <= nodes_.size() - first;
        for (std::uint32_t i = 0; good && i < count; ++i) nodes_[first + i] = nullptr;
        break;
      }
      case Op::listen: {
        const Node target = node(kElement);
        const std::string_view event = name();
        const std::uint32_t handler = next();
        if (good) target->listeners.emplace_back(event, handler);
        break;
      }
      case Op::remove_before: {
        const Node anchor = any();
        const std::uint32_t count = next();
        good = good && anchor->parent != nullptr;
        if (!good) break;
        auto& siblings = anchor->parent->children;
        const auto end = std::find(siblings.begin(), siblings.end(), anchor);
        good = static_cast<std::size_t>(end - siblings.begin()) >= count;
        if (!good) break;
        for (auto it = end - count; it != end; ++it) (*it)->parent = nullptr;
        siblings.erase(end - count, end);
        break;
      }
      default: good = false; break;
    }
    if (!good) return fail(Errc::corrupt, "a batch's operation at word " + std::to_string(start) + " makes no sense");
  }
  return {};
}

std::string Document::html() const {
  std::string out;
  for (const auto& child : nodes_[0]->children) write(*child, out);
  return out;
}

DomNode* Document::find(std::string_view attribute, std::string_view value) const {
  std::vector<Node> order;
  in_order(nodes_[0], order);
  for (const auto& node : order) {
    const std::string* held = node->attribute(attribute);
    if (held != nullptr && *held == value) return node.get();
  }
  return nullptr;
}

std::optional<std::uint32_t> Document::handler(const DomNode& target, std::string_view event) {
  for (const DomNode* node = &target; node != nullptr; node = node->parent) {
    for (auto it = node->listeners.rbegin(); it != node->listeners.rend(); ++it) {
      if (it->first == event) return it->second;
    }
  }
  return std::nullopt;
}

}  // namespace grove::web
