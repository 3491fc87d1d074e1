#include "tool/proof/output.hpp"

#include "grove/base/test/test.hpp"

using namespace grove::tool;

TEST_CASE("figures, counts, gaps and what was not run are read; other lines are not") {
  ProofOutput output;
  CHECK(output.read_line("figure write 1.25e6 op/s"));
  CHECK(output.read_line("figure conformance 117/120 cases"));
  CHECK(output.read_line("gap sgx: no such CPU: none here"));
  CHECK(output.read_line("not-run nats-server: install the Debian package nats-server"));
  CHECK(!output.read_line("[doctest] Status: SUCCESS!"));
  CHECK(!output.read_line("figure broken fast op/s"));
  CHECK(!output.read_line("figure"));
  CHECK(!output.read_line("figure x 12abc s"));
  REQUIRE(output.figures.size() == 3);
  CHECK(output.figures[0].value == 1.25e6);
  CHECK(shown_value(output.figures[0]) == "1.25 M op/s");
  CHECK(output.figures[1].value == 117);
  CHECK(shown_value(output.figures[1]) == "117/120 cases");
  CHECK(output.figures[2].name == "sgx");
  CHECK(output.figures[2].text == "no such CPU: none here");
  CHECK(output.not_run == std::vector<std::string>{"nats-server: install the Debian package nats-server"});
}

TEST_CASE("the reason of a failure is the line that says most") {
  CHECK(failure_reason("[1/2] Building\nFAILED: a.o\n/x/a.cpp:3:1: error: expected ';'\nninja: stopped") ==
        "/x/a.cpp:3:1: error: expected ';'");
  CHECK(failure_reason(
            "TEST CASE:  it holds\n\na.cpp:7: ERROR: CHECK( 1 == 2 ) is NOT correct!\n  values: CHECK( 1 == 2 )") ==
        "a.cpp:7: ERROR: CHECK( 1 == 2 ) is NOT correct! values: CHECK( 1 == 2 )");
  CHECK(failure_reason(
            "CMake Error at Grove.cmake:61 (message):\n  RocksDB is missing: apt-get install librocksdb-dev") ==
        "CMake Error at Grove.cmake:61 (message): RocksDB is missing: apt-get install librocksdb-dev");
  CHECK(failure_reason("one\ntwo\n") == "two");
  CHECK(failure_reason("") == "");
}

TEST_CASE("the last lines are whole lines") {
  CHECK(last_lines("a\nb\nc\n", 2) == "b\nc");
  CHECK(last_lines("a\nb", 5) == "a\nb");
  CHECK(last_lines("", 5) == "");
}

TEST_CASE("numbers are short and keep three digits") {
  CHECK(human_number(0) == "0");
  CHECK(human_number(9999) == "9999");
  CHECK(human_number(123456) == "123 k");
  CHECK(human_number(1.5e9) == "1.5 G");
  CHECK(human_number(0.01234) == "0.0123");
}
