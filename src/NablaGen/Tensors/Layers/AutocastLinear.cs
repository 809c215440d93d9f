using NablaGen.Tensors.Matrices;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Tensors.Layers;

/// <summary>y = x Wᵀ + b, by a matrix in any format; with plain numbers as autocast does it: the input is cast, the output stays in that type.</summary>
public sealed class AutocastLinear : Module<Tensor, Tensor>
{
    private readonly Parameter? _bias;

    /// <summary>A layer with unread weights [outputs, inputs] and, unless told otherwise, bias [outputs].</summary>
    public AutocastLinear(long inputs, long outputs, ModuleOptions options, bool bias = true)
        : base(nameof(AutocastLinear))
    {
        Matrix = MatrixFormats.Create(inputs, outputs, options);
        _bias = bias ? options.Parameter(outputs) : null;
        foreach (var (name, parameter) in Matrix.Parameters)
        {
            register_parameter(name, parameter);
        }

        if (_bias is not null)
        {
            register_parameter("bias", _bias);
        }
    }

    /// <summary>The matrix. [outputs, inputs]</summary>
    public IMatrix Matrix { get; }

    /// <summary>[outputs], or null.</summary>
    public Parameter? Bias => _bias;

    /// <summary>[..., inputs] → [..., outputs].</summary>
    public override Tensor forward(Tensor input) => Matrix.Multiply(input, _bias);

    /// <summary>The same for an activation that an op may have quantised.</summary>
    public Tensor forward(Activation input) => Matrix.Multiply(input, _bias);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            Matrix.Dispose();
        }

        base.Dispose(disposing);
    }
}
