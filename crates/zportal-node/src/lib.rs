//! The napi-rs binding: translates options, errors and events between JavaScript and `zportal-core`. Nothing else.
