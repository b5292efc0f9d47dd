// Input, filter and output transforms of the fast convolutions on a CPU, the float32 matrix multiplication between them
// (bfloat16's is PyTorch's), and batch normalisation with ReLU.
//
// Plain C entry points, <kernel>_f32 and <kernel>_bf16, without PyTorch's headers: this compiles in three seconds and
// does not depend on PyTorch's ABI; native.py loads it with ctypes. Tensors are contiguous and channels-last,
// (N, H, W, C), so that the innermost loop of every kernel runs over contiguous channels and vectorises. winograd.py
// has the same maps in PyTorch, against which the tests compare.
#include "kernels/batch_norm.h"
#include "kernels/element_types.h"
#include "kernels/filters.h"
#include "kernels/gemm.h"
#include "kernels/upsampling.h"
#include "kernels/winograd.h"

#define MAP(name, suffix, T)                                                             \
  extern "C" void name##_##suffix(const T* in, T* out, long N, long H, long W, long C) { \
    name(in, out, N, H, W, C);                                                           \
  }
#define BIASED_MAP(name, suffix, T)                                                                         \
  extern "C" void name##_##suffix(const T* in, const float* bias, T* out, long N, long H, long W, long C) { \
    name(in, bias, out, N, H, W, C);                                                                        \
  }
#define FOLD(taps, suffix, T)                                                                                \
  extern "C" void filter_transform##taps##_##suffix(const float* weight, const float* matrix, T* kernel, long O, long C, \
                                        long tap_stride, long row_stride) {                                  \
    filter_transform<T, taps>(weight, matrix, kernel, O, C, tap_stride, row_stride);                                     \
  }                                                                                                          \
  extern "C" void filter_adjoint##taps##_##suffix(const T* kernel, const float* matrix, float* weight,      \
                                                   long O, long C, long tap_stride, long row_stride) {       \
    filter_adjoint<T, taps>(kernel, matrix, weight, O, C, tap_stride, row_stride);                          \
  }
#define BATCH_NORM(suffix, T)                                                                                    \
  extern "C" void image_moments_##suffix(const T* x, const float* shift, float* sums, float* squares, long N,    \
                                         long P, long C) {                                                       \
    image_moments(x, shift, sums, squares, N, P, C);                                                             \
  }                                                                                                              \
  extern "C" void scale_relu_##suffix(const T* x, const float* scale, const float* offset, T* y, long N, long P, \
                                      long C) {                                                                  \
    scale_relu(x, scale, offset, y, N, P, C);                                                                    \
  }                                                                                                              \
  extern "C" void scale_relu_sums_##suffix(const T* g, const T* x, const float* scale, const float* offset,      \
                                           const float* mean, float* sums, float* products, long N, long P,      \
                                           long C) {                                                             \
    scale_relu_sums(g, x, scale, offset, mean, sums, products, N, P, C);                                         \
  }                                                                                                              \
  extern "C" void scale_relu_backward_##suffix(const T* g, const T* x, const float* scale, const float* offset,  \
                                               const float* mean, const float* slope, const float* level, T* gx, \
                                               long N, long P, long C) {                                         \
    scale_relu_backward(g, x, scale, offset, mean, slope, level, gx, N, P, C);                                   \
  }
#define ENTRIES(suffix, T)                    \
  BATCH_NORM(suffix, T)                       \
  BIASED_MAP(upsample_transform, suffix, T)   \
  MAP(upsample_adjoint, suffix, T)            \
  MAP(winograd_input, suffix, T)              \
  MAP(winograd_input_adjoint, suffix, T)      \
  BIASED_MAP(winograd_output, suffix, T)      \
  MAP(winograd_output_adjoint, suffix, T)     \
  FOLD(9, suffix, T)                          \
  FOLD(16, suffix, T)

ENTRIES(f32, float)
ENTRIES(bf16, bf16)

extern "C" void multiply_f32(const float* a, const float* b, float* c, long batch, long M, long N, long K, long a_row,
                             long a_column, long b_row, long b_column) {
  multiply({a, a_row, a_column}, {b, b_row, b_column}, c, batch, M, N, K);
}
