// The one place that knows which Catch2 is installed: 2 of Debian 12 or 3 of Debian 13, which has some names elsewhere.
#pragma once
#include <string>
#include <utility>
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
inline auto contains(std::string part) { return Catch::Matchers::ContainsSubstring(std::move(part)); }
#else
#include <catch2/catch.hpp>
inline auto contains(std::string part) { return Catch::Matchers::Contains(std::move(part)); }
#endif
