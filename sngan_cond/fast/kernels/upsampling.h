// The sums around the matrix multiplication of nearest-neighbour upsampling and a 3x3 convolution, and their transpose,
// which serves a 3x3 convolution and 2x2 mean pooling. winograd.py derives both.
#pragma once

#include <cstring>
#include <vector>

#include "element_types.h"

namespace {

// y (N, 2H, 2W, C) from maps (N, H, W, 3, 3, C), plus the bias (C,) or null: winograd.upsample_transform.
//
// On one axis, maps P = s x, Q = w0 x and R = w2 x with s = w0 + w1 + w2 give
//   y[2i] = P[i] - Q[i] + Q[i-1],   y[2i+1] = P[i] - R[i] + R[i+1],   with Q[-1] = R[H] = 0.
// The vertical sums go first, into three scratch rows (P, Q and R of the horizontal axis), then the horizontal ones.
template <class T>
void upsample_transform(const T* maps, const float* bias, T* y, long N, long H, long W, long C) {
#pragma omp parallel
  {
    std::vector<float> buffer(3 * (W + 2) * CHUNK);  // rows with a column of zeros at both ends, for Q[-1] and R[W]
#pragma omp for collapse(2) schedule(static)
    for (long n = 0; n < N; n++)
      for (long i = 0; i < H; i++)
        for (long c0 = 0; c0 < C; c0 += CHUNK) {
          const long width = C - c0 < CHUNK ? C - c0 : CHUNK;
          for (long p = 0; p < 2; p++) {
            const long a = 1 + p, other = p ? i + 1 : i - 1;  // Q of the row above, or R of the row below
            const bool inside = other >= 0 && other < H;
            for (long b = 0; b < 3; b++) {
              float* rows = buffer.data() + b * (W + 2) * CHUNK;
              std::memset(rows, 0, CHUNK * 4);
              std::memset(rows + (W + 1) * CHUNK, 0, CHUNK * 4);
              for (long j = 0; j < W; j++) {
                const T* here = maps + ((n * H + i) * W + j) * 9 * C + c0;
                const T* there = maps + ((n * H + (inside ? other : i)) * W + j) * 9 * C + c0;
                const float keep = inside ? 1.f : 0.f;  // a factor, so that the loop over channels has no branch
                float* out = rows + (j + 1) * CHUNK;
                for (long c = 0; c < width; c++)
                  out[c] = load(here, b * C + c) - load(here, (3 * a + b) * C + c) +
                           keep * load(there, (3 * a + b) * C + c);
              }
            }
            const float *P = buffer.data(), *Q = P + (W + 2) * CHUNK, *R = Q + (W + 2) * CHUNK;
            for (long j = 0; j < W; j++) {
              T* out = y + ((n * 2 * H + 2 * i + p) * 2 * W + 2 * j) * C + c0;
              const long at = (j + 1) * CHUNK;
              for (long c = 0; c < width; c++) {
                const float base = P[at + c] + (bias ? bias[c0 + c] : 0.f);
                store(out, c, base - Q[at + c] + Q[at - CHUNK + c]);
                store(out, C + c, base - R[at + c] + R[at + CHUNK + c]);
              }
            }
          }
        }
  }
}

// maps (N, H, W, 3, 3, C) from y (N, 2H, 2W, C): winograd.upsample_adjoint, the transpose of upsample_transform.
//
// On one axis, with e[i] = y[2i] and o[i] = y[2i+1]:  P = e + o,  Q[i] = e[i+1] - e[i],  R[i] = o[i-1] - o[i].
// Each value is gathered from the pixels it depends on, so no two threads write to one place.
template <class T>
void upsample_adjoint(const T* y, T* maps, long N, long H, long W, long C) {
#pragma omp parallel
  {
    std::vector<float> buffer(3 * (2 * W + 2) * CHUNK);  // vertical P, Q, R at full width, a zero at both ends
#pragma omp for collapse(2) schedule(static)
    for (long n = 0; n < N; n++)
      for (long i = 0; i < H; i++)
        for (long c0 = 0; c0 < C; c0 += CHUNK) {
          const long width = C - c0 < CHUNK ? C - c0 : CHUNK, stride = (2 * W + 2) * CHUNK;
          float* rows = buffer.data();
          for (long a = 0; a < 3; a++) {
            std::memset(rows + a * stride, 0, CHUNK * 4);
            std::memset(rows + a * stride + (2 * W + 1) * CHUNK, 0, CHUNK * 4);
          }
          const T* base = y + n * 4 * H * W * C + c0;
          const float down = i + 1 < H ? 1.f : 0.f, up = i > 0 ? 1.f : 0.f;
          for (long x = 0; x < 2 * W; x++) {
            const T* even = base + (2 * i * 2 * W + x) * C;
            const T* odd = even + 2 * W * C;
            const T* after = i + 1 < H ? odd + 2 * W * C : odd;
            const T* before = i > 0 ? even - 2 * W * C : even;
            float *P = rows + (x + 1) * CHUNK, *Q = P + stride, *R = Q + stride;
            for (long c = 0; c < width; c++) {
              const float e = load(even, c), o = load(odd, c);
              P[c] = e + o;
              Q[c] = down * load(after, c) - e;
              R[c] = up * load(before, c) - o;
            }
          }
          for (long j = 0; j < W; j++) {
            T* out = maps + ((n * H + i) * W + j) * 9 * C + c0;
            for (long a = 0; a < 3; a++) {
              const float* even = rows + a * stride + (2 * j + 1) * CHUNK;
              for (long c = 0; c < width; c++) {
                const float e = even[c], o = even[CHUNK + c];
                store(out, 3 * a * C + c, e + o);
                store(out, (3 * a + 1) * C + c, even[2 * CHUNK + c] - e);
                store(out, (3 * a + 2) * C + c, even[c - CHUNK] - o);
              }
            }
          }
        }
  }
}

}  // namespace
