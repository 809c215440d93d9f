using NablaGen.Tensors.Matrices;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace NablaGen.Tensors;

/// <summary>Where and in which type a model's parameters are made.</summary>
/// <param name="Device">The device; <c>meta</c> makes shapes without memory.</param>
/// <param name="Dtype">The type of the large matrix products. docs/numerics.md says what stays float32 whatever this is.</param>
/// <remarks>Immutable. The first one loads libtorch.</remarks>
public sealed record ModuleOptions(Device Device, ScalarType Dtype)
{
    /// <summary>Where the module is.</summary>
    public Device Device { get; init; } = Ready(Device);

    /// <summary>float32 on the CPU.</summary>
    public static ModuleOptions Cpu { get; } = new(CPU, ScalarType.Float32);

    /// <summary>Names and shapes only, no memory.</summary>
    public static ModuleOptions Meta { get; } = new(META, ScalarType.Float32);

    /// <summary>The number format of the large matrices: see <see cref="MatrixFormats.Names"/>.</summary>
    public string MatrixFormat { get; init; } = MatrixFormats.Dense;

    /// <summary>Whether the first and the last layer of a transformer have plain matrices whatever those between have.</summary>
    public bool HasPlainEnds { get; init; }

    /// <summary>Whether self-attention may be computed in eight bits, where the device has kernels for it.</summary>
    public bool EightBitAttention { get; init; }

    /// <summary>The same place and type, with plain matrices: for what stays in <see cref="Dtype"/> whatever the large matrices are in.</summary>
    public ModuleOptions Dense => this with { MatrixFormat = MatrixFormats.Dense };

    /// <summary>The options of one of a transformer's layers.</summary>
    /// <param name="layer">The layer, from 0.</param>
    /// <param name="layers">How many there are.</param>
    public ModuleOptions OfLayer(int layer, int layers) => HasPlainEnds && (layer == 0 || layer == layers - 1) ? Dense : this;

    /// <summary>The same place, in float32.</summary>
    public ModuleOptions Float32 => this with { Dtype = ScalarType.Float32, MatrixFormat = MatrixFormats.Dense };

    /// <summary>
    /// Whether the module's passes can be differentiated: for training. Without it modules work in place and through kernels that have no gradient.
    /// </summary>
    public bool IsDifferentiable { get; init; }

    /// <summary>Where parameters take their memory from; null for memory of their own.</summary>
    internal ParameterPool? Pool { get; init; }

    /// <summary>The type and the device, on one line; by its properties a record would print the same place in float32, and that again.</summary>
    public override string ToString() => $"{Dtype} on {Device}{(MatrixFormat == MatrixFormats.Dense ? "" : $", matrices in {MatrixFormat}{(HasPlainEnds ? " but for the first and last layer" : "")}")}{(EightBitAttention ? ", attention in eight bits" : "")}";

    /// <summary>A parameter whose values are yet to be read from a checkpoint. It is its module's and outlives the scope it is made in.</summary>
    internal Parameter Parameter(params long[] shape)
    {
        var parameter = new Parameter(Pool?.Take(shape, Dtype) ?? empty(shape, Dtype, Device), requires_grad: false);
        parameter.DetachFromDisposeScope();
        return parameter;
    }

    /// <summary>
    /// Parameters of one shape that lie one after another in memory: in a pool wherever their bytes need no padding, otherwise as parts of one tensor.
    /// </summary>
    internal Parameter[] Parameters(int count, params long[] shape)
    {
        if (Pool is not null)
        {
            return [.. Enumerable.Range(0, count).Select(_ => Parameter(shape))];
        }

        using var scope = NewDisposeScope();
        var whole = empty([count * shape[0], .. shape[1..]], Dtype, Device);
        return [.. Enumerable.Range(0, count).Select(part => new Parameter(whole.narrow(0, part * shape[0], shape[0]), requires_grad: false)).Select(Kept)];

        static Parameter Kept(Parameter parameter)
        {
            parameter.DetachFromDisposeScope();
            return parameter;
        }
    }

    // Every model is made with options, so here libtorch gets its settings before any of them computes.
    private static Device Ready(Device device)
    {
        TorchRuntime.Load();
        return device;
    }
}
