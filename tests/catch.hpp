#pragma once
#if __has_include(<catch2/catch_all.hpp>)  // the one place that knows which Catch2 is installed
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
#endif
