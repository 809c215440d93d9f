using static TorchSharp.torch;

namespace NablaGen.Training.World;

/// <summary>The camera: from frames and the time to what of a scene a pixel shows. Lengths in half sides.</summary>
internal sealed class View(ClipSize size)
{
    /// <summary>Half the frame's shorter side, in pixels.</summary>
    public double HalfSide { get; } = Math.Min(size.Height, size.Width) / 2.0;

    /// <summary>Half the frame's width, in half sides.</summary>
    public double HalfWidth => size.Width / 2.0 / HalfSide;

    /// <summary>Half the frame's height, in half sides.</summary>
    public double HalfHeight => size.Height / 2.0 / HalfSide;

    /// <summary>How far the camera has gone: none in the middle of the clip.</summary>
    public static (double X, double Y) Pan(Scene scene, double u) => (scene.Camera.PanX * (u - 0.5), scene.Camera.PanY * (u - 0.5));

    /// <summary>The size of things: 1 in the middle of the clip.</summary>
    public static double Zoom(Scene scene, double u) => Math.Pow(scene.Camera.Zoom, u - 0.5);

    /// <summary>One row of numbers a frame, clip after clip: [B · T, …] float32.</summary>
    public Tensor PerFrame(IReadOnlyList<Scene> scenes, Func<Scene, double, double[]> numbers, Device device, params long[] shape)
    {
        var rows = new List<float>();
        foreach (var scene in scenes)
        {
            for (int t = 0; t < size.Frames; t++)
            {
                double u = size.Frames > 1 ? t / (size.Frames - 1.0) : 0.5;
                rows.AddRange(numbers(scene, u).Select(number => (float)number));
            }
        }

        return tensor(rows.ToArray(), [scenes.Count * (long)size.Frames, .. shape], device: device);
    }
}
