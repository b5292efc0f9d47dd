// Input and output transforms of Winograd's F(2x2, 3x3) (Lavin and Gray 2016, section 4.1), and their transposes.
//
// A tile is a 4x4 window d of x at stride 2, one for each 2x2 window of outputs. Once transformed, entry (r, s) of all
// T = N H/2 W/2 tiles lies in plane 4r + s, a matrix (T, C): each plane is an operand of a matrix multiplication of its
// own.
#pragma once

#include <cstring>
#include <vector>

#include "element_types.h"

namespace {

// tiles (16, T, C) from x (N, H, W, C): B^T d B of each tile, winograd.input_transform. On one axis
//   B^T d = (d0 - d2, d1 + d2, d2 - d1, d1 - d3).
// No padded copy of x is made: a pixel outside is read as 0 times another pixel of the same tile, so that the loop over
// channels has no branch. If that pixel is infinite or NaN this gives NaN, but then the tile is not finite anyhow.
template <class T>
void winograd_input(const T* x, T* tiles, long N, long H, long W, long C) {
  const long TH = H / 2, TW = W / 2, plane = N * TH * TW * C;
#pragma omp parallel for collapse(2) schedule(static)
  for (long n = 0; n < N; n++)
    for (long i = 0; i < TH; i++)
      for (long j = 0; j < TW; j++) {
        const T* at[16];  // where the tile's pixels begin, and whether they count
        float keep[16];
        for (long r = 0; r < 4; r++)
          for (long s = 0; s < 4; s++) {
            const long h = 2 * i - 1 + r, w = 2 * j - 1 + s;
            const bool inside = h >= 0 && h < H && w >= 0 && w < W;
            keep[4 * r + s] = inside ? 1.f : 0.f;
            at[4 * r + s] = x + ((n * H + (inside ? h : 2 * i)) * W + (inside ? w : 2 * j)) * C;
          }
        T* out = tiles + ((n * TH + i) * TW + j) * C;
#pragma omp simd
        for (long c = 0; c < C; c++) {
          float d[4][4], rows[4][4];
          for (int r = 0; r < 4; r++)
            for (int s = 0; s < 4; s++) d[r][s] = keep[4 * r + s] * load(at[4 * r + s], c);
          for (int s = 0; s < 4; s++) {
            rows[0][s] = d[0][s] - d[2][s];
            rows[1][s] = d[1][s] + d[2][s];
            rows[2][s] = d[2][s] - d[1][s];
            rows[3][s] = d[1][s] - d[3][s];
          }
          for (int r = 0; r < 4; r++) {
            store(out, (4 * r + 0) * plane + c, rows[r][0] - rows[r][2]);
            store(out, (4 * r + 1) * plane + c, rows[r][1] + rows[r][2]);
            store(out, (4 * r + 2) * plane + c, rows[r][2] - rows[r][1]);
            store(out, (4 * r + 3) * plane + c, rows[r][1] - rows[r][3]);
          }
        }
      }
}

// x (N, H, W, C) from tiles (16, T, C): the transpose of winograd_input, B g B^T of each tile added into its window.
//
// Windows overlap by two pixels on either axis, so a row of x gets a share from two rows of tiles: tile row i reaches
// rows 2i-1 to 2i+2 of x, of which tile row i+1 adds to 2i+1 and 2i+2. These two rows are carried to the next step, and
// rows 2i-1 and 2i are complete. So every pixel is written once, in order, without atomics, and rounded once (adding
// into bfloat16 memory would round at each of up to four additions). Only images run in parallel, for the carry's sake.
template <class T>
void winograd_input_adjoint(const T* tiles, T* x, long N, long H, long W, long C) {
  const long TH = H / 2, TW = W / 2, plane = N * TH * TW * C;
#pragma omp parallel
  {
    std::vector<float> buffer(4 * (W + 2) * C);  // what tile row i adds to rows 2i-1 .. 2i+2, padding included
    std::vector<float> carry(2 * (W + 2) * C);   // what tile row i-1 left for rows 2i-1 and 2i
#pragma omp for schedule(static)
    for (long n = 0; n < N; n++) {
      std::memset(carry.data(), 0, carry.size() * 4);
      for (long i = 0; i <= TH; i++) {  // the last step has no tiles: it writes the carried row H-1
        std::memset(buffer.data(), 0, buffer.size() * 4);
        for (long j = 0; i < TH && j < TW; j++) {
          const T* in = tiles + ((n * TH + i) * TW + j) * C;
          float* out = buffer.data() + 2 * j * C;
#pragma omp simd
          for (long c = 0; c < C; c++) {
            float g[4][4], rows[4][4];
            for (int r = 0; r < 4; r++)
              for (int s = 0; s < 4; s++) g[r][s] = load(in, (4 * r + s) * plane + c);
            for (int s = 0; s < 4; s++) {
              rows[0][s] = g[0][s];
              rows[1][s] = g[1][s] - g[2][s] + g[3][s];
              rows[2][s] = g[1][s] + g[2][s] - g[0][s];
              rows[3][s] = -g[3][s];
            }
            for (int r = 0; r < 4; r++) {
              float* row = out + r * (W + 2) * C + c;
              row[0] += rows[r][0];
              row[C] += rows[r][1] - rows[r][2] + rows[r][3];
              row[2 * C] += rows[r][1] + rows[r][2] - rows[r][0];
              row[3 * C] -= rows[r][3];
            }
          }
        }
        for (long r = 0; r < 2; r++) {
          const long h = 2 * i - 1 + r;
          if (h < 0 || h >= H) continue;  // a row of padding, whose gradient nobody wants
          const float *above = carry.data() + (r * (W + 2) + 1) * C, *here = buffer.data() + (r * (W + 2) + 1) * C;
          T* out = x + (n * H + h) * W * C;
          for (long k = 0; k < W * C; k++) store(out, k, above[k] + here[k]);
        }
        std::memcpy(carry.data(), buffer.data() + 2 * (W + 2) * C, carry.size() * 4);
      }
    }
  }
}

// y (N, H, W, C) from products (16, T, C), plus the bias (C,) or null: A^T m A of each tile, winograd.output_transform.
// On one axis  A^T m = (m0 + m1 + m2, m1 - m2 - m3).  The 2x2 windows of outputs do not overlap: nothing is shared.
template <class T>
void winograd_output(const T* products, const float* bias, T* y, long N, long H, long W, long C) {
  const long TH = H / 2, TW = W / 2, plane = N * TH * TW * C;
#pragma omp parallel for collapse(2) schedule(static)
  for (long n = 0; n < N; n++)
    for (long i = 0; i < TH; i++)
      for (long j = 0; j < TW; j++) {
        const T* in = products + ((n * TH + i) * TW + j) * C;
        T* out = y + ((n * H + 2 * i) * W + 2 * j) * C;
#pragma omp simd
        for (long c = 0; c < C; c++) {
          float rows[2][4];
          for (int s = 0; s < 4; s++) {
            const float m0 = load(in, s * plane + c), m1 = load(in, (4 + s) * plane + c);
            const float m2 = load(in, (8 + s) * plane + c), m3 = load(in, (12 + s) * plane + c);
            rows[0][s] = m0 + m1 + m2;
            rows[1][s] = m1 - m2 - m3;
          }
          const float b = bias ? bias[c] : 0.f;
          for (int r = 0; r < 2; r++) {
            store(out, r * W * C + c, b + rows[r][0] + rows[r][1] + rows[r][2]);
            store(out, r * W * C + C + c, b + rows[r][1] - rows[r][2] - rows[r][3]);
          }
        }
      }
}

// products (16, T, C) from y (N, H, W, C): the transpose of winograd_output, A y A^T of each 2x2 window. On one axis
//   A (a, b) = (a, a + b, a - b, -b).
template <class T>
void winograd_output_adjoint(const T* y, T* products, long N, long H, long W, long C) {
  const long TH = H / 2, TW = W / 2, plane = N * TH * TW * C;
#pragma omp parallel for collapse(2) schedule(static)
  for (long n = 0; n < N; n++)
    for (long i = 0; i < TH; i++)
      for (long j = 0; j < TW; j++) {
        const T* in = y + ((n * H + 2 * i) * W + 2 * j) * C;
        T* out = products + ((n * TH + i) * TW + j) * C;
#pragma omp simd
        for (long c = 0; c < C; c++) {
          float rows[4][2];
          for (int s = 0; s < 2; s++) {
            const float a = load(in, s * C + c), b = load(in, (W + s) * C + c);
            rows[0][s] = a;
            rows[1][s] = a + b;
            rows[2][s] = a - b;
            rows[3][s] = -b;
          }
          for (int r = 0; r < 4; r++) {
            const float a = rows[r][0], b = rows[r][1];
            store(out, (4 * r + 0) * plane + c, a);
            store(out, (4 * r + 1) * plane + c, a + b);
            store(out, (4 * r + 2) * plane + c, a - b);
            store(out, (4 * r + 3) * plane + c, -b);
          }
        }
      }
}

}  // namespace
