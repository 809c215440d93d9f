using NablaGen.Tensors;
using static TorchSharp.torch;
using static TorchSharp.torch.nn.functional;

namespace NablaGen.Training.World;

/// <summary>
/// Draws scenes as frames: poses in plain C#, everything a pixel needs in a few batched kernels over clips × frames × pixels.
/// </summary>
/// <remarks>
/// Light comes from the upper left: half the shade is even, half goes with the angle to the light, and there is a soft highlight.
/// Edges are one pixel wide ramps of the distance to the outline. Clips are drawn a few at a time, so that memory stays below about
/// a GiB whatever the batch.
/// </remarks>
internal sealed class SceneRenderer(Device device) : IDisposable
{
    // Pixels × frames drawn at a time: a plane of 36 MB.
    private const long Budget = 9L << 20;

    private readonly Tensor _atlas = ShapeAtlas.On(device);

    /// <summary>Draws scenes: [B, 3, T, H, W] float32 in [−1, 1] on the device.</summary>
    public Tensor Render(IReadOnlyList<Scene> scenes, ClipSize size)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var frames = empty([scenes.Count, 3, size.Frames, size.Height, size.Width], dtype: ScalarType.Float32, device: device);
        int atOnce = (int)Math.Clamp(Budget / ((long)size.Frames * size.Height * size.Width), 1, scenes.Count);
        // Those with as many objects together: a second one costs as much as the first.
        foreach (var same in Enumerable.Range(0, scenes.Count).GroupBy(i => scenes[i].Objects.Count))
        {
            foreach (var part in same.Chunk(atOnce))
            {
                using var inner = NewDisposeScope();
                var drawn = Draw([.. part.Select(i => scenes[i])], size).Times_(2).Minus_(1).Clamped_(-1, 1);
                for (int i = 0; i < part.Length; i++)
                {
                    // [T, 3, H, W] to [3, T, H, W].
                    frames[part[i]].copy_(drawn[i].transpose(0, 1));
                }
            }
        }

        return frames.MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose() => _atlas.Dispose();

    // [B, T, 3, H, W] in [0, 1].
    private Tensor Draw(Scene[] scenes, ClipSize size)
    {
        var view = new View(size);
        var canvas = Backdrops(scenes, size, view);
        var sprites = Enumerable.Range(0, scenes[0].Objects.Count).Select(i => new SpriteLayer(scenes, i, view, device)).ToArray();
        foreach (var sprite in sprites)
        {
            CastShadow(canvas, sprite, size);
        }

        foreach (var sprite in sprites)
        {
            PaintObject(canvas, sprite, size);
        }

        return canvas.reshape(scenes.Length, size.Frames, 3, size.Height, size.Width);
    }

    private Tensor Backdrops(Scene[] scenes, ClipSize size, View view)
    {
        var plates = stack([.. scenes.Select(s => BackdropPainter.Paint(s.Backdrop, s.BackdropSeed, size, device))]);
        var (rows, columns) = BackdropPainter.Border(size);
        if (scenes.All(s => s.Camera == CameraDrift.None))
        {
            // Nothing moves: the picture's middle, cut without resampling.
            return plates.narrow(2, rows, size.Height).narrow(3, columns, size.Width).unsqueeze(1)
                .expand(-1, size.Frames, -1, -1, -1).reshape(-1, 3, size.Height, size.Width).clone();
        }

        // The frame's part of the picture.
        double partX = size.Width / (size.Width + (2.0 * columns)), partY = size.Height / (size.Height + (2.0 * rows));
        var matrices = view.PerFrame(
            scenes,
            (scene, u) =>
            {
                // What is far moves less.
                double zoom = Math.Sqrt(View.Zoom(scene, u));
                var (panX, panY) = View.Pan(scene, u);
                return
                [
                    partX / zoom, 0, partX * 0.5 * panX / view.HalfWidth,
                    0, partY / zoom, partY * 0.5 * panY / view.HalfHeight,
                ];
            },
            device, 2, 3);
        return Sample(plates.repeat_interleave(size.Frames, 0), matrices, size);
    }

    private void CastShadow(Tensor canvas, SpriteLayer sprite, ClipSize size)
    {
        var pictures = _atlas.index_select(0, sprite.ShadowShapes()).narrow(1, 0, 1);
        var distance = Sample(pictures, sprite.ShadowMatrices(), size);
        var (strength, softness) = sprite.Shadows();
        // From full darkness inside to none outside, smoothly.
        var t = (distance / softness.Times(2)).SubtractedFrom(0.5).Clamped_(0, 1);
        var shade = t * t * t.Times(2).SubtractedFrom(3) * strength;
        canvas.mul_(shade.SubtractedFrom(1));
    }

    private void PaintObject(Tensor canvas, SpriteLayer sprite, ClipSize size)
    {
        var planes = Sample(_atlas.index_select(0, sprite.Shapes()), sprite.Matrices(), size);
        var alpha = (planes.narrow(1, 0, 1) * sprite.PixelsPerRadius()).SubtractedFrom(0.5).Clamped_(0, 1);
        var (x, y) = (planes.narrow(1, 1, 1), planes.narrow(1, 2, 1));
        var z = ((x * x).SubtractedFrom(1) - (y * y)).Clamped_(0.01, 1).sqrt_();
        // The light turns against the object, which is sampled upright.
        var (lightX, lightY, halfX, halfY) = sprite.Lights();
        var lambert = (x * lightX).Plus_(y * lightY).Plus_(z.Times(SpriteLayer.LightZ)).Clamped_(0, 1);
        var shade = lambert.Times_(0.46f).Plus_(0.64f).mul_(planes.narrow(1, 3, 1).Times(0.3f).SubtractedFrom(1));
        var highlight = (x * halfX).Plus_(y * halfY).Plus_(z.Times(SpriteLayer.HalfZ)).Clamped_(0, 1).Power_(28).Times_(0.42f);
        var colour = (sprite.Colours() * shade).Clamped_(0, 1);
        colour = colour.Plus_(colour.SubtractedFrom(1).mul_(highlight));
        canvas.Plus_((colour - canvas).mul_(alpha));
    }

    private static Tensor Sample(Tensor pictures, Tensor matrices, ClipSize size)
    {
        var grid = affine_grid(matrices, [matrices.shape[0], pictures.shape[1], size.Height, size.Width], align_corners: false);
        return grid_sample(pictures, grid, GridSampleMode.Bilinear, GridSamplePaddingMode.Border, align_corners: false);
    }
}
