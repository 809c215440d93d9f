using NablaGen.Cuda.Fused;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace NablaGen.Tensors.Matrices;

/// <summary>
/// A matrix that stays as its file has it (fp8, GGUF) and is expanded for each product, to the bits that it would have if it were expanded as it is read.
/// Numbers that a file has in 16 or 32 bits, or that a LoRA changed, are plain.
/// </summary>
/// <remarks>Its size is known once it is read, so it has no parameters, and a pool cannot hold it: streamed layers are plain.</remarks>
public sealed class StoredMatrix : IMatrix
{
    private readonly ModuleOptions _options;
    private StoredNumbers? _stored;
    private Tensor? _numbers;
    private Tensor? _scales;

    /// <summary>A matrix whose values are yet to be read from a checkpoint; it takes memory then.</summary>
    public StoredMatrix(long inputs, long outputs, ModuleOptions options) => (Inputs, Outputs, _options) = (inputs, outputs, options);

    /// <inheritdoc/>
    public long Outputs { get; }

    /// <inheritdoc/>
    public long Inputs { get; }

    /// <inheritdoc/>
    public long Bytes => (_numbers?.NumberOfElements * _numbers?.element_size() ?? 0) + (_scales?.NumberOfElements * sizeof(float) ?? 0);

    /// <summary>The form that is kept, such as Q4_K; null for plain numbers, and before it is read.</summary>
    public string? Format => _stored?.Format;

    /// <inheritdoc/>
    public IReadOnlyList<(string Name, Parameter Parameter)> Parameters => [];

    /// <summary>Bytes that numbers of a file take in memory.</summary>
    /// <param name="stored">What the file has; null for plain numbers.</param>
    /// <param name="outputs">Rows.</param>
    /// <param name="inputs">Columns.</param>
    /// <param name="dtype">The type of plain numbers.</param>
    public static long BytesOf(StoredNumbers? stored, long outputs, long inputs, ScalarType dtype) =>
        Keeps(stored, inputs) ? stored!.Bytes + (stored.Scales is null ? 0 : sizeof(float) * outputs) : outputs * inputs * dtype.ElementSize();

    /// <summary>Whether numbers of a file stay as they are.</summary>
    public static bool Keeps(StoredNumbers? stored, long inputs) => stored is not null && ExpandNumbers.Fits(stored.Format, inputs);

    /// <inheritdoc/>
    public void Load(IMatrixValues values)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        Dispose();
        if (values.Stored is { } stored && Keeps(stored, Inputs))
        {
            var bytes = empty([stored.Bytes], ScalarType.Byte, _options.Device);
            stored.CopyBytes(bytes);
            if (stored.Scales?.Invoke() is { } read)
            {
                var scales = read.to_type(ScalarType.Float32).flatten();
                if (!scales.isfinite().all().item<bool>())
                {
                    throw new NablaGenException($"the scale of {values.Name} is NaN or infinite: expected finite scales");
                }

                _scales = scales.to(_options.Device).DetachFromDisposeScope();
            }

            (_stored, _numbers) = (stored, bytes.DetachFromDisposeScope());
        }
        else
        {
            var plain = empty([Outputs, Inputs], _options.Dtype, _options.Device);
            values.CopyTo(plain);
            _numbers = plain.DetachFromDisposeScope();
        }
    }

    /// <summary>The numbers in the type of the products. [outputs, inputs]</summary>
    /// <returns>The caller's scope's.</returns>
    public Tensor Expand()
    {
        var numbers = _numbers ?? throw new InvalidOperationException("the matrix has not been read");
        using var scope = NewDisposeScope();
        if (_stored is null)
        {
            return numbers.alias().MoveToOuterDisposeScope();
        }

        if (numbers.device_type == DeviceType.CUDA)
        {
            var at = new KernelAddress(numbers.device);
            var expanded = empty([Outputs, Inputs], _options.Dtype, numbers.device);
            new ExpandNumbers(CudaDevices.Open(numbers.device)).Run(
                _stored.Format, at.Of(numbers, ScalarType.Byte, "stored numbers"), at.Of(_scales, ScalarType.Float32, "their scales"),
                _scales is null || _scales.NumberOfElements > 1 ? Inputs : Inputs * Outputs, at.Of(expanded, _options.Dtype, "expanded numbers"),
                CudaDevices.ElementType(_options.Dtype), Inputs * Outputs);
            return expanded.MoveToOuterDisposeScope();
        }

        var values = empty([Outputs, Inputs], ScalarType.Float32, CPU);
        _stored.Expand(numbers, values);
        return (_scales is null ? values : values.mul(_scales.unsqueeze(-1))).to_type(_options.Dtype).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public Tensor Multiply(Activation x, Tensor? bias)
    {
        if (x.RowScales is not null)
        {
            throw new NotSupportedException("a stored matrix takes activations without scales, and these have row-wise scales");
        }

        using var scope = NewDisposeScope();
        return nn.functional.linear(x.Values.to_type(_options.Dtype), Expand(), bias).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _numbers?.Dispose();
        _scales?.Dispose();
        (_stored, _numbers, _scales) = (null, null, null);
    }
}
