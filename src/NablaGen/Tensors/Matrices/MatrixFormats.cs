namespace NablaGen.Tensors.Matrices;

/// <summary>The number formats that weight matrices may have in memory, by name.</summary>
public static class MatrixFormats
{
    /// <summary>The type of <see cref="ModuleOptions.Dtype"/>, number by number.</summary>
    public const string Dense = "dense";

    /// <summary>fp8 (E4M3) with a scale a row, multiplied in fp8; matrices whose sides are not multiples of 16 stay dense.</summary>
    public const string Fp8 = "fp8";

    /// <summary>As the file has them, where that is fp8 or GGUF's blocks, and expanded for each product.</summary>
    public const string Stored = "stored";

    private static readonly Dictionary<string, Func<long, long, ModuleOptions, IMatrix>> Makers = new(StringComparer.Ordinal)
    {
        [Dense] = (inputs, outputs, options) => new DenseMatrix(inputs, outputs, options),
        [Stored] = (inputs, outputs, options) => new StoredMatrix(inputs, outputs, options),
        [Fp8] = (inputs, outputs, options) => Fp8Matrix.Fits(inputs, outputs) ? new Fp8Matrix(inputs, outputs, options) : new DenseMatrix(inputs, outputs, options),
    };

    /// <summary>Every name that <see cref="Create"/> takes.</summary>
    public static IReadOnlyCollection<string> Names => Makers.Keys;

    /// <summary>Matrices of one size that lie one after another in memory, where their format can: see <see cref="IMatrix.Join"/>.</summary>
    /// <inheritdoc cref="Create"/>
    /// <param name="count">How many.</param>
    /// <param name="inputs">Columns of each.</param>
    /// <param name="outputs">Rows of each.</param>
    /// <param name="options">Where they are, their type and their format.</param>
    public static IMatrix[] CreateAdjacent(int count, long inputs, long outputs, ModuleOptions options) => options.MatrixFormat switch
    {
        Dense => DenseMatrix.Adjacent(count, inputs, outputs, options),
        Fp8 when Fp8Matrix.Fits(inputs, outputs) => Fp8Matrix.Adjacent(count, inputs, outputs, options),
        _ => [.. Enumerable.Range(0, count).Select(_ => Create(inputs, outputs, options))],
    };

    /// <summary>A matrix whose values are yet to be read from a checkpoint, in the format that the options ask for.</summary>
    /// <param name="inputs">Columns.</param>
    /// <param name="outputs">Rows.</param>
    /// <param name="options">Where it is, its type and its format.</param>
    /// <exception cref="NablaGenException">No format has that name.</exception>
    public static IMatrix Create(long inputs, long outputs, ModuleOptions options) => Makers.TryGetValue(options.MatrixFormat, out var make)
        ? make(inputs, outputs, options)
        : throw new NablaGenException($"matrix format '{options.MatrixFormat}' is not known: expected one of {string.Join(", ", Names)}");
}
