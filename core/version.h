// SPDX-License-Identifier: MIT
// What this kernel calls itself. Programs compare the release with Linux's, so it begins with the
// version whose ABI is spoken.
#pragma once
#define HALYARD_VERSION	      "0.1"
#define HALYARD_UNAME_RELEASE "6.1.0-halyard"
