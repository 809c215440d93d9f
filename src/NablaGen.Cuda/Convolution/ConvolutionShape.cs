using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Compilation;
using NablaGen.Cuda.Fused;

namespace NablaGen.Cuda.Convolution;

/// <summary>A convolution's sizes, and what follows from them for causal_conv3d_sm90.cu.</summary>
/// <param name="Type">Of frames, weights and bias.</param>
/// <param name="Inputs">Channels that go in.</param>
/// <param name="Outputs">Channels that come out.</param>
/// <param name="Taps">Frames that an output frame sees: itself and those before it.</param>
/// <param name="Side">Rows and columns that an output pixel sees: 1 or 3, with 0 or 1 of padding.</param>
/// <param name="Doubles">Whether each input pixel is first repeated to 2 × 2 (nearest neighbour); a side of 3 and a single frame.</param>
public readonly record struct ConvolutionShape(ElementType Type, int Inputs, int Outputs, int Taps, int Side, bool Doubles = false)
{
    // Shared memory that is left for stages, with room to align the first.
    private const int StageBytes = 225 * 1024;

    /// <summary>Whether the kernel computes it.</summary>
    public bool Fits => Inputs > 0 && Inputs % 32 == 0 && Outputs > 0 && Part(Outputs) > 0 && Taps is >= 1 and < LaunchConstants.ConvFrames
        && Side is 1 or 3 && (!Doubles || (Side == 3 && Taps == 1));

    /// <summary>Bytes of the weights as the kernel reads them.</summary>
    public long WeightBytes => 2L * Phases * Taps * Steps * Inputs * Outputs;

    /// <summary>Multiplications and additions for an output pixel, by the definition: without what the phases of a doubling save.</summary>
    public double Operations => 2.0 * Inputs * Outputs * Taps * Side * Side;

    /// <summary>Output channels of a thread block.</summary>
    internal int Columns => Part(Outputs);

    /// <summary>Squares of 8 × 8 pixels of a warpgroup: as many sums as its registers hold.</summary>
    internal int Tiles => Columns <= 96 ? 4 : 2;

    /// <summary>Rows of a thread block's tile.</summary>
    internal int High => 4 * Tiles;

    /// <summary>Rows and columns that the kernel multiplies.</summary>
    internal int KernelSide => Doubles ? 2 : Side;

    /// <summary>Channels of a stage.</summary>
    internal int Chunk => Inputs % 64 == 0 ? 64 : 32;

    internal int Phases => Doubles ? 4 : 1;

    internal int BoxStages => Chunk == 64 ? 2 : 3;

    internal int WeightStages => Math.Min(8, (StageBytes - BoxStages * BoxBytes) / (Columns * Chunk * 2));

    internal int SharedBytes => 1024 + BoxStages * BoxBytes + WeightStages * Columns * Chunk * 2;

    private int Steps => KernelSide * KernelSide;

    private int BoxBytes => ((LaunchConstants.ConvWide + KernelSide - 1) * (High + KernelSide - 1) * Chunk * 2 + 1023) / 1024 * 1024;

    internal string[] WeightMacros() => FusedOp.Macros(Type,
    [
        $"INPUTS={Inputs}", $"OUTPUTS={Outputs}", $"COLUMNS={Columns}", $"CHUNK={Chunk}", $"TAPS={Taps}", $"SIDE={KernelSide}",
        .. Doubles ? ["DOUBLES"] : Array.Empty<string>(),
    ]);

    internal string[] Macros() => [.. WeightMacros(), $"TILES={Tiles}", $"BOX_STAGES={BoxStages}", $"WEIGHT_STAGES={WeightStages}"];

    // The widest product that divides the channels; 0 for none.
    private static int Part(int outputs)
    {
        foreach (var columns in (ReadOnlySpan<int>)[192, 160, 128, 96, 64, 32])
        {
            if (outputs % columns == 0)
            {
                return columns;
            }
        }

        return 0;
    }
}
