#pragma once

namespace grove::proof {
/// Whether any part reported not_run; read by proof_main.cpp at the end.
bool& some_not_run();
}  // namespace grove::proof
