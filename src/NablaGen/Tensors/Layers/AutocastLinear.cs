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
        : this(MatrixFormats.Create(inputs, outputs, options), bias ? options.Parameter(outputs) : null)
    {
    }

    private AutocastLinear(IMatrix matrix, Parameter? bias)
        : base(nameof(AutocastLinear))
    {
        (Matrix, _bias) = (matrix, bias);
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

    /// <summary>Layers of one size with biases whose matrices lie one after another in memory, for <see cref="ForwardJoined"/>.</summary>
    public static AutocastLinear[] Adjacent(int count, long inputs, long outputs, ModuleOptions options) =>
        [.. MatrixFormats.CreateAdjacent(count, inputs, outputs, options).Zip(options.Parameters(count, outputs), (matrix, bias) => new AutocastLinear(matrix, bias))];

    /// <summary>The results of layers of one input side by side, by one product; null where their matrices or biases do not lie one after another.</summary>
    /// <param name="input">[..., inputs]</param>
    /// <param name="layers">The layers.</param>
    /// <returns>[..., all outputs]</returns>
    public static Tensor? ForwardJoined(Activation input, params ReadOnlySpan<AutocastLinear> layers)
    {
        var all = layers.ToArray();
        using var scope = NewDisposeScope();
        if (all.Any(layer => layer.Bias is null) || AdjacentRows.Of(all[0].Bias!, all.Skip(1).Select(layer => layer.Bias!)) is not { } bias)
        {
            return null;
        }

        using var matrix = all[0].Matrix.Join([.. all.Skip(1).Select(layer => layer.Matrix)]);
        return matrix?.Multiply(input, bias).MoveToOuterDisposeScope();
    }

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
