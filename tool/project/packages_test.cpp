#include "tool/project/packages.hpp"

#include "tool/project/test_map.hpp"

using namespace grove;
using namespace grove::tool;

TEST_CASE("installed and provided packages are told from removed and unknown ones") {
  const auto directory = TempDir::make();
  REQUIRE_OK(directory);
  const auto status = directory->path() / "status";
  tool::test::put(status,
                  "Package: alpha\nStatus: install ok installed\nVersion: 1:2.0-1\nDescription: x\n Package: fake\n\n"
                  "Package: beta\nStatus: deinstall ok config-files\nVersion: 3\nProvides: gamma\n\n"
                  "Package: delta\nStatus: install ok installed\nVersion: 4\nProvides: eps (= 4), zeta,eta\n");
  const std::vector<std::string> names{"alpha", "beta", "gamma", "eps", "eta", "fake", "none", "beta"};
  const auto installed = installed_packages(names, status);
  REQUIRE_OK(installed);
  CHECK(*installed == std::map<std::string, std::string>{{"alpha", "1:2.0-1"}, {"eps", "4"}, {"eta", "4"}});
  const auto missing = missing_packages(names, status);
  REQUIRE_OK(missing);
  CHECK(*missing == std::vector<std::string>{"beta", "gamma", "fake", "none"});
}

TEST_CASE("without dpkg what is installed isn't known") {
  const std::vector<std::string> names{"alpha"};
  CHECK_FAILS(missing_packages(names, "/nonexistent/status"), Errc::unsupported);
}

TEST_CASE("nobody to ask means that nothing is installed and the packages are listed") {
  std::FILE* sink = std::tmpfile();
  Terminal terminal(sink, sink);
  const std::vector<std::string> names{"alpha", "beta"};
  const auto installed = install_packages(names, false, terminal);
  REQUIRE(!installed);
  CHECK(installed.error().message().find("apt-get install alpha beta") != std::string::npos);
  CHECK_OK(install_packages({}, false, terminal));
  std::fclose(sink);
}
