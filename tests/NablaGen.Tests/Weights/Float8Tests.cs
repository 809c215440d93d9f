using NablaGen.Weights;
using static TorchSharp.torch;

namespace NablaGen.Tests.Weights;

/// <summary>The 8-bit floats against the tables of the OCP specification.</summary>
public sealed class Float8Tests : IDisposable
{
    private readonly RawFile _raw = new();

    [Theory]
    [InlineData(0x00, 0f)]
    [InlineData(0x01, 0.001953125f)] // 2^-9, the smallest subnormal
    [InlineData(0x07, 0.013671875f)] // 7 × 2^-9, the largest
    [InlineData(0x08, 0.015625f)] // 2^-6, the smallest normal
    [InlineData(0x38, 1f)]
    [InlineData(0x3C, 1.5f)]
    [InlineData(0x7E, 448f)]
    [InlineData(0x7F, float.NaN)]
    [InlineData(0x78, 256f)] // The top exponent holds numbers: no infinity.
    [InlineData(0x81, -0.001953125f)]
    [InlineData(0xB8, -1f)]
    [InlineData(0xFE, -448f)]
    [InlineData(0xFF, float.NaN)]
    public void E4M3(int code, float value) => Assert.Equal(value, Read("F8_E4M3")[code]);

    [Theory]
    [InlineData(0x01, 1.52587890625e-05f)] // 2^-16
    [InlineData(0x03, 4.57763671875e-05f)]
    [InlineData(0x04, 6.103515625e-05f)] // 2^-14
    [InlineData(0x3C, 1f)]
    [InlineData(0x7B, 57344f)]
    [InlineData(0x7C, float.PositiveInfinity)]
    [InlineData(0x7D, float.NaN)]
    [InlineData(0xFC, float.NegativeInfinity)]
    [InlineData(0xFB, -57344f)]
    public void E5M2(int code, float value) => Assert.Equal(value, Read("F8_E5M2")[code]);

    [Theory]
    [InlineData("F8_E4M3", 2)]
    [InlineData("F8_E5M2", 6)]
    public void Order_sign_and_the_number_of_nans_are_right(string type, int nans)
    {
        var values = Read(type);
        Assert.Equal(nans, values.Count(float.IsNaN));
        Assert.True(float.IsNegative(values[0x80]) && values[0x80] == 0);
        var positive = values[..128].Where(value => !float.IsNaN(value)).ToArray();
        Assert.Equal(positive.Order(), positive);
        Assert.Equal(positive.Distinct(), positive);
        Assert.Equal(positive.Select(value => -value), values[128..].Where(value => !float.IsNaN(value)));
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    [InlineData(ScalarType.Float16)]
    public void They_are_read_into_any_type(ScalarType type)
    {
        using var file = Open("F8_E4M3");
        using var scope = NewDisposeScope();
        var target = zeros(16, 16, dtype: type);
        file.CopyTo("w", target);
        Assert.Equal(Read("F8_E4M3"), target.to(ScalarType.Float32).data<float>().ToArray());
    }

    public void Dispose() => _raw.Dispose();

    private SafetensorsFile Open(string type)
    {
        var header = $$$"""{"w":{"dtype":"{{{type}}}","shape":[16,16],"data_offsets":[0,256]}}""";
        return SafetensorsFile.Open(_raw.Write("f8.safetensors", RawFile.Bytes(header, [.. Enumerable.Range(0, 256).Select(code => (byte)code)])));
    }

    private float[] Read(string type)
    {
        using var file = Open(type);
        using var scope = NewDisposeScope();
        return file.Read("w").to(ScalarType.Float32).data<float>().ToArray();
    }
}
