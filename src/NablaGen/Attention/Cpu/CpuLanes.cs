using System.Runtime.Intrinsics;

namespace NablaGen.Attention.Cpu;

/// <summary>The widths our CPU kernels come in: 16 floats (AVX-512) and 8 (AVX2, and whatever .NET makes of it elsewhere).</summary>
internal static class CpuLanes
{
    /// <summary>The width for this machine. <c>DOTNET_EnableAVX512=0</c> makes it 8 on any.</summary>
    public static int Widest => Vector512.IsHardwareAccelerated ? Lanes16.Count : Lanes8.Count;

    /// <exception cref="ArgumentOutOfRangeException">There is no such width.</exception>
    public static int Checked(int lanes) => lanes is 8 or 16 ? lanes : throw new ArgumentOutOfRangeException(nameof(lanes), lanes, "8 or 16");
}
