#include "grove/web/frontend/frameworks/signals/page/krausest.hpp"

#include "grove/web/frontend/frameworks/signals/page.hpp"

namespace {

void build(grove::signals::Ui& ui) {
  auto* table = new krausest::Table(ui);  // As long as the page.
  ui.mount([=](grove::signals::Ui&) { return table->view(); });
}

}  // namespace

GROVE_SIGNALS_PAGE(build);
