namespace NablaGen.Cuda.Device;

/// <summary>A device's architecture: 8.0 is A100, 8.9 Ada, 9.0 Hopper, 12.0 consumer Blackwell.</summary>
/// <param name="Major">First part.</param>
/// <param name="Minor">Second part.</param>
public readonly record struct ComputeCapability(int Major, int Minor)
{
    /// <summary>Both parts as NVIDIA's targets write them: 90 for 9.0.</summary>
    public int Number => Major * 10 + Minor;

    /// <summary>As in "9.0".</summary>
    public override string ToString() => $"{Major}.{Minor}";
}
