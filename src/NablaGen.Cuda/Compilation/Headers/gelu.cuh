// GELU, tanh form: ½ x (1 + tanh(√(2/π) (x + 0.044715 x³))), with ½ (1 + tanh u) = 1 / (1 + exp(−2u)).
#pragma once
#include "common.cuh"

DEVICE float gelu(float x) {
    const float u = 0.7978845608028654f * (x + 0.044715f * x * x * x);
    return x / (1 + exp2_approx(-2 * kLog2e * u));
}
