#include "tool/project/name.hpp"

#include "grove/base/test/test.hpp"

using namespace grove;
using namespace grove::tool;

TEST_CASE("names that are a folder, a CMake target and a program are taken") {
  for (const std::string_view name : {"shop", "Shop2", "my-shop", "a", "data_base", "testing", "commerce"}) {
    CAPTURE(std::string(name));
    CHECK_OK(check_project_name(name));
  }
}

TEST_CASE("every other name is refused with a name that would be taken") {
  const std::string long_name(300, 'x');
  for (const std::string_view name :
       {std::string_view(""),        std::string_view("a b"),        std::string_view("../x"),
        std::string_view("-x"),      std::string_view(long_name),    std::string_view("CON"),
        std::string_view("com1"),    std::string_view("test"),       std::string_view("all"),
        std::string_view("Install"), std::string_view("grove-base"), std::string_view("1x"),
        std::string_view("a/b"),     std::string_view("."),          std::string_view(".."),
        std::string_view("a\nb"),    std::string_view("a\0b", 3),    std::string_view("店"),
        std::string_view("$HOME"),   std::string_view("a;b")}) {
    CAPTURE(std::string(name));
    const auto checked = check_project_name(name);
    CHECK_FAILS(checked, Errc::invalid_argument);
    if (checked) continue;
    const std::string& message = checked.error().message();
    const std::size_t begin = message.find("grove new ") + 10;
    CHECK_OK(check_project_name(message.substr(begin, message.find(" --with") - begin)));
  }
}

TEST_CASE("vcpkg's names are lower case with single hyphens") {
  CHECK_EQ(vcpkg_name("My_Shop--2"), "my-shop-2");
  CHECK_EQ(vcpkg_name("a_"), "a");
}
