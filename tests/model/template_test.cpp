// SPDX-License-Identifier: Apache-2.0
#include "model/template.hpp"

#include <gtest/gtest.h>

#include "model/custom_device.hpp"

namespace fieldpost {
namespace {

TEST(Template, FillsInWhatItNames) {
  const Template t =
      Template::parse("${device}/${attribute}=${value}@${time}, $ {x} ${value}").value();
  EXPECT_EQ(t.fill({"boiler", "temp", "21.5", "7"}), "boiler/temp=21.5@7, $ {x} 21.5");
  for (const auto place : {Template::Place::DeviceName, Template::Place::AttributeName,
                           Template::Place::ReadValue, Template::Place::Time}) {
    EXPECT_TRUE(t.has(place));
  }
  EXPECT_FALSE(Template::parse("${value}").value().has(Template::Place::Time));
  EXPECT_EQ(Template::parse("").value().fill({}), "");
}

TEST(Template, WhatIsFilledInIsNotReadAgain) {
  EXPECT_EQ(Template::parse("${value}").value().fill({.device = "d", .value = "${device}"}),
            "${device}");
}

TEST(Template, RefusesOtherPlacesAndListsThoseThereAre) {
  for (const char* text : {"${valeu}", "a${}b", "${ value }", "${device_id}", "${value", "x ${"}) {
    const auto made = Template::parse(text);
    ASSERT_FALSE(made) << text;
    EXPECT_TRUE(made.error().message.starts_with(
        "expected ${device}, ${attribute}, ${value} or ${time}, got \"$"))
        << made.error().message;
  }
}

TEST(CustomDevice, IsItsNamesAndNoOtherDevice) {
  const std::string id = id_of({"env", "boiler", ""});
  EXPECT_EQ(id, "publish:env:boiler");
  EXPECT_TRUE(is_custom(id));
  EXPECT_EQ(shown_device(id), "publish env (boiler)");
  const std::string of_attribute = id_of({"env", "boiler", "temp"});
  const auto named = parse_custom_device(of_attribute);
  ASSERT_TRUE(named);
  EXPECT_EQ(named->entry, "env");
  EXPECT_EQ(named->device, "boiler");
  EXPECT_EQ(named->attribute, "temp");
  for (const char* other : {"575ecf887ae143cd83dc4aa3", "publish", "publish:", "publish:env", ""}) {
    EXPECT_FALSE(parse_custom_device(other)) << other;
    EXPECT_EQ(shown_device(other), other);
  }
}

}  // namespace
}  // namespace fieldpost
