#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include "grove/base/test/proof_state.hpp"

int main(int argc, char** argv) {
  doctest::Context context(argc, argv);
  const int failed = context.run();
  if (context.shouldExit() || failed != 0) return failed;
  return grove::proof::some_not_run() ? 77 : 0;
}
