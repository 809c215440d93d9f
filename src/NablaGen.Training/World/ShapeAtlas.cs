using static TorchSharp.torch;

namespace NablaGen.Training.World;

/// <summary>
/// The shapes as small pictures, made once: to draw an object is then to sample one of them, with a matrix for place, size and angle.
/// </summary>
/// <remarks>
/// Four planes a shape: the signed distance to the outline (radii, negative inside), the x and y part of the surface's normal (the
/// shapes are puffed up like cushions, a ball is a ball), and the ball's band (0 to 1). A distance survives enlarging: its zero
/// line stays sharp.
/// </remarks>
internal static class ShapeAtlas
{
    /// <summary>A plane reaches from −Extent to Extent, in radii, both ways.</summary>
    public const double Extent = 1.7;

    /// <summary>How many shapes there are.</summary>
    public const int Shapes = 6;

    private const int Side = 256;
    private const double Texel = 2 * Extent / Side;

    private static readonly Lazy<float[]> Planes = new(() =>
    {
        var planes = new float[Shapes * 4 * Side * Side];
        Parallel.For(0, Shapes, shape => Draw((ShapeKind)shape, planes.AsSpan(shape * 4 * Side * Side, 4 * Side * Side)));
        return planes;
    });

    /// <summary>The pictures: [6, 4, 256, 256] float32.</summary>
    public static Tensor On(Device device) => tensor(Planes.Value, [Shapes, 4, Side, Side], device: device).DetachFromDisposeScope();

    private static void Draw(ShapeKind shape, Span<float> planes)
    {
        var outline = ShapeOutline.Of(shape);
        var distance = planes[..(Side * Side)];
        var height = new float[Side * Side];
        for (int i = 0; i < Side * Side; i++)
        {
            double x = Centre(i % Side), y = Centre(i / Side), d = outline.Distance(x, y);
            distance[i] = (float)d;
            double inward = Math.Clamp(-d / outline.Bevel, 0, 1);
            height[i] = (float)(outline.Bevel * Math.Sqrt(1 - ((1 - inward) * (1 - inward))));
            // A band that bulges with the ball.
            double band = y + (0.12 * (1 - (x * x)));
            planes[(3 * Side * Side) + i] = shape == ShapeKind.Ball ? (float)Math.Clamp((0.24 - Math.Abs(band)) / 0.03, 0, 1) : 0;
        }

        // Ridges become round, but the ball's own roundness stays.
        for (int pass = 0; pass < (shape == ShapeKind.Ball ? 1 : 3); pass++)
        {
            Blur(height, shape == ShapeKind.Ball ? 1 : 6);
        }

        for (int i = 0; i < Side * Side; i++)
        {
            int x = Math.Clamp(i % Side, 1, Side - 2), y = Math.Clamp(i / Side, 1, Side - 2), at = (y * Side) + x;
            double dx = (height[at + 1] - height[at - 1]) / (2 * Texel), dy = (height[at + Side] - height[at - Side]) / (2 * Texel);
            double length = Math.Sqrt((dx * dx) + (dy * dy) + 1);
            planes[(Side * Side) + i] = (float)(-dx / length);
            planes[(2 * Side * Side) + i] = (float)(-dy / length);
        }
    }

    private static double Centre(int texel) => ((texel + 0.5) * Texel) - Extent;

    // A mean over 2 · reach + 1 texels, across and down.
    private static void Blur(float[] plane, int reach)
    {
        var line = new float[Side];
        foreach (var (along, across) in new[] { (1, Side), (Side, 1) })
        {
            for (int row = 0; row < Side; row++)
            {
                for (int i = 0; i < Side; i++)
                {
                    float sum = 0;
                    for (int j = -reach; j <= reach; j++)
                    {
                        sum += plane[(row * across) + (Math.Clamp(i + j, 0, Side - 1) * along)];
                    }

                    line[i] = sum / ((2 * reach) + 1);
                }

                for (int i = 0; i < Side; i++)
                {
                    plane[(row * across) + (i * along)] = line[i];
                }
            }
        }
    }
}
