using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace NablaGen.Tensors.Matrices;

/// <summary>
/// A matrix in fp8 (E4M3) with a float32 scale a row, multiplied as it is: the rows of activations are quantised too, by the op that writes them
/// or here. On the CPU, where there are no such products, the same numbers are multiplied in float32: for tests.
/// </summary>
/// <remarks>A checkpoint's own codes and scales are taken over; other numbers are quantised row by row as they are read.</remarks>
public sealed class Fp8Matrix : IMatrix
{
    /// <summary>What rows of inputs, and the outputs, must be a multiple of.</summary>
    public const int Multiple = 16;

    private readonly ModuleOptions _options;
    private readonly Parameter _codes;
    private readonly Parameter _scales;

    /// <summary>A matrix whose values are yet to be read from a checkpoint.</summary>
    /// <param name="inputs">Columns, a multiple of 16.</param>
    /// <param name="outputs">Rows, a multiple of 16.</param>
    /// <param name="options">Where it is; its type is that of the results: bfloat16 on CUDA.</param>
    public Fp8Matrix(long inputs, long outputs, ModuleOptions options)
    {
        _options = options;
        _codes = (options with { Dtype = ScalarType.Byte }).Parameter(outputs, inputs);
        _scales = (options with { Dtype = ScalarType.Float32 }).Parameter(outputs);
    }

    private Fp8Matrix(Parameter codes, Parameter scales, ModuleOptions options) => (_codes, _scales, _options) = (codes, scales, options);

    /// <summary>The codes. [outputs, inputs]</summary>
    public Tensor Codes => _codes;

    /// <summary>The rows' scales. [outputs]</summary>
    public Tensor Scales => _scales;

    /// <inheritdoc/>
    public long Outputs => _codes.shape[0];

    /// <inheritdoc/>
    public long Inputs => _codes.shape[1];

    /// <inheritdoc/>
    public long Bytes => _codes.NumberOfElements + sizeof(float) * Outputs;

    /// <inheritdoc/>
    public IReadOnlyList<(string Name, Parameter Parameter)> Parameters => [("weight", _codes), ("weight_scale", _scales)];

    /// <inheritdoc/>
    public bool TakesRowScales => true;

    /// <summary>Whether a matrix of these sizes can be multiplied in fp8.</summary>
    public static bool Fits(long inputs, long outputs) => inputs % Multiple == 0 && outputs % Multiple == 0;

    /// <summary>Matrices of one size that lie one after another in memory.</summary>
    internal static IMatrix[] Adjacent(int count, long inputs, long outputs, ModuleOptions options) =>
    [
        .. (options with { Dtype = ScalarType.Byte }).Parameters(count, outputs, inputs)
            .Zip((options with { Dtype = ScalarType.Float32 }).Parameters(count, outputs), (codes, scales) => new Fp8Matrix(codes, scales, options)),
    ];

    /// <inheritdoc/>
    public IMatrix? Join(ReadOnlySpan<IMatrix> others)
    {
        var parts = others.ToArray().OfType<Fp8Matrix>().ToArray();
        if (parts.Length != others.Length || AdjacentRows.Of(_codes, parts.Select(part => part._codes)) is not { } codes)
        {
            return null;
        }

        if (AdjacentRows.Of(_scales, parts.Select(part => part._scales)) is { } scales)
        {
            return new Fp8Matrix(new Parameter(codes, requires_grad: false), new Parameter(scales, requires_grad: false), _options);
        }

        codes.Dispose();
        return null;
    }

    /// <inheritdoc/>
    public void Load(IMatrixValues values)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        if (values.Stored is { Format: StoredNumbers.E4M3 } stored)
        {
            stored.CopyBytes(_codes);
            _scales.copy_(stored.Scales is { } read ? read().to_type(ScalarType.Float32).flatten().expand(Outputs) : ones(1).expand(Outputs));
        }
        else
        {
            // float32, so that what a LoRA changed is rounded once.
            var whole = empty([Outputs, Inputs], ScalarType.Float32, _codes.device);
            values.CopyTo(whole);
            var (codes, scales) = Fp8Rows.Quantize(whole);
            _codes.copy_(codes);
            _scales.copy_(scales!);
        }

        if (!_scales.isfinite().all().item<bool>())
        {
            throw new NablaGenException($"{values.Name} contains NaN or infinity, which fp8 with a scale a row cannot hold: try --precision bf16");
        }
    }

    /// <inheritdoc/>
    public Tensor Multiply(Activation x, Tensor? bias)
    {
        using var scope = NewDisposeScope();
        var rows = x.RowScales is null ? Fp8Rows.Quantize(x.Values) : x;
        if (_codes.device_type == DeviceType.CUDA)
        {
            return Fp8Kernels.Of(_codes.device).Multiply(rows, _codes, _scales, bias).MoveToOuterDisposeScope();
        }

        var y = nn.functional.linear(Fp8Rows.Decode(rows.Values, rows.RowScales!), Fp8Rows.Decode(_codes, _scales), bias?.to_type(ScalarType.Float32));
        return y.to_type(_options.Dtype).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _codes.Dispose();
        _scales.Dispose();
    }
}
