using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Training.World;

/// <summary>
/// Paints what is behind the objects: one still picture a clip, an eighth larger than the frame on every side, over which the camera moves.
/// Colours stay muted: nothing here may look like an object.
/// </summary>
internal sealed class BackdropPainter
{
    private readonly SplitMix64 _random;
    private readonly Device _device;
    private readonly int _height;
    private readonly int _width;
    private readonly double[] _x;
    private readonly double[] _y;

    private BackdropPainter(ulong seed, ClipSize size, Device device)
    {
        _random = new SplitMix64(seed);
        _device = device;
        var (rows, columns) = Border(size);
        _height = size.Height + (2 * rows);
        _width = size.Width + (2 * columns);
        _x = [.. Enumerable.Range(0, _width).Select(i => (2 * (i - columns + 0.5) / size.Width) - 1)];
        _y = [.. Enumerable.Range(0, _height).Select(i => (2 * (i - rows + 0.5) / size.Height) - 1)];
    }

    /// <summary>How many rows and columns a picture has beyond each edge of the frame.</summary>
    public static (int Rows, int Columns) Border(ClipSize size) => ((size.Height + 7) / 8, (size.Width + 7) / 8);

    /// <summary>A backdrop's picture: [3, H + 2 · rows, W + 2 · columns] float32, about [0, 1].</summary>
    public static Tensor Paint(Backdrop backdrop, ulong seed, ClipSize size, Device device)
    {
        using var scope = NewDisposeScope();
        var painter = new BackdropPainter(seed, size, device);
        double light = painter._random.Range(0.97, 1.03);
        var picture = backdrop switch
        {
            Backdrop.White => painter.Room((247, 246, 244), (226, 225, 224), 0.05, 0.012),
            Backdrop.Grey => painter.Room((158, 160, 164), (136, 138, 142), 0.08, 0.03),
            Backdrop.Dark => painter.Room((30, 31, 35), (18, 19, 22), 0.25, 0.012),
            Backdrop.Sky => painter.Clouds(painter.Rows((-1.2, 158, 192, 222), (1.2, 220, 232, 240)), 0.55),
            Backdrop.Night => painter.Stars(painter.Rows((-1.2, 18, 24, 50), (1.2, 46, 56, 92))),
            Backdrop.Sunset => painter.Clouds(
                painter.Rows((-1.2, 112, 104, 140), (-0.2, 178, 148, 160), (0.5, 230, 190, 168), (1.2, 244, 216, 190)), 0.18),
            Backdrop.Meadow => painter.Meadow(),
            Backdrop.Beach => painter.Beach(),
            _ => throw new ArgumentOutOfRangeException(nameof(backdrop)),
        };
        return picture.Times(light).MoveToOuterDisposeScope();
    }

    private Tensor Room((int, int, int) top, (int, int, int) bottom, double vignette, double texture)
    {
        var wall = Rows((-1.2, top.Item1, top.Item2, top.Item3), (1.2, bottom.Item1, bottom.Item2, bottom.Item3));
        var dark = AcrossRow(x => x * x).Plus(DownColumn(y => y * y)).Times(vignette);
        return wall * dark.SubtractedFrom(1).Plus(Noise(9, 0.6).Plus(Noise(40, 0.4)).Times(texture));
    }

    private Tensor Clouds(Tensor sky, double strength)
    {
        var puffs = Noise(3, 0.9, 5).Plus(Noise(7, 0.5, 12)).Plus(Noise(14, 0.25, 20)).Times(0.9).Plus_(0.1).Clamped_(0, 1);
        var cover = (puffs * puffs).Times(strength) * DownColumn(y => Math.Clamp(0.75 - (0.5 * y), 0.1, 1));
        return sky.Plus(sky.SubtractedFrom(1) * cover);
    }

    private Tensor Stars(Tensor sky)
    {
        const int Count = 26;
        var across = new float[Count * _width];
        var down = new float[_height * Count];
        for (int i = 0; i < Count; i++)
        {
            double x = _random.Range(-1.2, 1.2), y = _random.Range(-1.2, 1.1), wide = _random.Range(0.010, 0.018), bright = _random.Range(0.15, 0.5);
            for (int j = 0; j < _width; j++)
            {
                across[(i * _width) + j] = (float)Math.Exp(-Square((_x[j] - x) / wide));
            }

            for (int j = 0; j < _height; j++)
            {
                down[(j * Count) + i] = (float)(bright * Math.Exp(-Square((_y[j] - y) / wide)));
            }
        }

        // A star is a bump across times a bump down: all of them are one product of matrices.
        var glow = tensor(down, [_height, Count], device: _device).matmul(tensor(across, [Count, _width], device: _device));
        var haze = Noise(3, 0.03).Plus(1) * sky;
        return haze.Plus(glow.Clamped(0, 0.6));
    }

    private Tensor Meadow()
    {
        var sky = Clouds(Rows((-1.2, 178, 202, 220), (0.3, 228, 234, 232)), 0.5);
        double at = _random.Range(0.12, 0.28), phase = _random.Range(0, 6.28);
        var far = Ground(Rows((0, 176, 190, 164), (0.8, 160, 178, 146)), 0.05);
        var near = Ground(Rows((0.1, 156, 174, 138), (1.2, 132, 154, 114)), 0.09);
        sky = Over(sky, far, x => at - (0.08 * Math.Sin((2.1 * x) + phase)));
        return Over(sky, near, x => at + 0.14 + (0.06 * Math.Sin((1.4 * x) - phase)));
    }

    private Tensor Beach()
    {
        double at = _random.Range(0.05, 0.2), phase = _random.Range(0, 6.28);
        var sky = Clouds(Rows((-1.2, 186, 208, 224), (0.2, 232, 236, 236)), 0.4);
        var sea = Rows((0, 150, 178, 192), (0.5, 176, 198, 204)) * Noise(6, 0.02).Plus(1);
        var sand = Ground(Rows((0.2, 226, 214, 190), (1.2, 206, 190, 160)), 0.05);
        sky = Over(sky, sea, _ => at);
        return Over(sky, sand, x => at + 0.24 + (0.03 * Math.Sin((2.4 * x) + phase)));
    }

    private Tensor Ground(Tensor colours, double texture) => colours * Noise(6, 0.6, 14).Plus(Noise(20, 0.5, 50)).Times(texture).Plus(1);

    // Lays the ground over what is above the line y(x), with an edge about a pixel and a half wide.
    private Tensor Over(Tensor above, Tensor ground, Func<double, double> line)
    {
        var below = DownColumn(y => y) - AcrossRow(line);
        var cover = below.Times(_height / 4.5).Plus_(0.5).Clamped_(0, 1);
        return above.Plus((ground - above) * cover);
    }

    // A colour for each row: straight between stops (y, red, green, blue of 255), [3, height, 1].
    private Tensor Rows(params (double Y, double R, double G, double B)[] stops)
    {
        var rows = new float[3 * _height];
        for (int i = 0; i < _height; i++)
        {
            int next = Math.Clamp(Array.FindIndex(stops, s => s.Y > _y[i]), 1, stops.Length - 1);
            if (_y[i] >= stops[^1].Y)
            {
                next = stops.Length - 1;
            }

            var (a, b) = (stops[next - 1], stops[next]);
            double t = Math.Clamp((_y[i] - a.Y) / (b.Y - a.Y), 0, 1);
            rows[i] = (float)((a.R + ((b.R - a.R) * t)) / 255);
            rows[_height + i] = (float)((a.G + ((b.G - a.G) * t)) / 255);
            rows[(2 * _height) + i] = (float)((a.B + ((b.B - a.B) * t)) / 255);
        }

        return tensor(rows, [3, _height, 1], device: _device).expand(3, _height, _width);
    }

    private Tensor AcrossRow(Func<double, double> of) => tensor([.. _x.Select(x => (float)of(x))], [1, 1, _width], device: _device);

    private Tensor DownColumn(Func<double, double> of) => tensor([.. _y.Select(y => (float)of(y))], [1, _height, 1], device: _device);

    // Smooth noise of that many bumps across (and down, if not as many): [1, height, width], about ±strength.
    private Tensor Noise(int across, double strength, int? down = null)
    {
        int rows = (down ?? across) + 1, columns = across + 1;
        var knots = new float[rows * columns];
        for (int i = 0; i < knots.Length; i++)
        {
            knots[i] = (float)(strength * _random.Range(-1, 1));
        }

        var coarse = tensor(knots, [1, 1, rows, columns], device: _device);
        return nn.functional.interpolate(coarse, [_height, _width], mode: InterpolationMode.Bicubic, align_corners: true).squeeze(0);
    }

    private static double Square(double x) => x * x;
}
