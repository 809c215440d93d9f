using static TorchSharp.torch;

namespace NablaGen.Tensors.Matrices;

/// <summary>The numbers that a checkpoint has for a matrix.</summary>
public interface IMatrixValues
{
    /// <summary>The file and the tensor, for messages.</summary>
    string Name { get; }

    /// <summary>The numbers as they are stored, where that is a form that may be kept; null where it is not.</summary>
    StoredNumbers? Stored { get; }

    /// <summary>Copies them, converted to the target's type and device. [outputs, inputs]</summary>
    void CopyTo(Tensor target);
}

/// <summary>Numbers in fewer bits as a file has them: blocks of bytes one after the other, row by row.</summary>
/// <param name="Format">The form's name, such as <see cref="E4M3"/> or <c>Q4_K</c>.</param>
/// <param name="Bytes">How many bytes there are.</param>
/// <param name="CopyBytes">Copies them to the memory of a contiguous tensor of bytes on any device.</param>
/// <param name="Expand">Expands the bytes, on the CPU, into a contiguous float32 tensor there, without the scales: what kernels are held to.</param>
/// <param name="Scales">Reads factors beside them, one or one a row; null where there are none. On the CPU.</param>
public sealed record StoredNumbers(string Format, long Bytes, Action<Tensor> CopyBytes, Action<Tensor, Tensor> Expand, Func<Tensor>? Scales = null)
{
    /// <summary>fp8 with four bits of exponent, a byte a number.</summary>
    public const string E4M3 = "F8_E4M3";

    /// <summary>fp8 with five bits of exponent, a byte a number.</summary>
    public const string E5M2 = "F8_E5M2";
}
