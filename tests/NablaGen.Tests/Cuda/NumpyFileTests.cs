using System.Text;
using NablaGen.Cuda.Benchmarks;

namespace NablaGen.Tests.Cuda;

public class NumpyFileTests
{
    // The form is NumPy's own description of its version 1.0 (numpy.lib.format).
    [Fact]
    public void A_mask_is_written_as_numpy_reads_it()
    {
        using var folder = new TempFolder();
        var mask = new bool[2, 3, 4];
        mask[0, 1, 2] = mask[1, 2, 3] = true;
        NumpyFile.Write(folder["mask.npy"], mask);

        var bytes = File.ReadAllBytes(folder["mask.npy"]);
        Assert.Equal([0x93, .. "NUMPY"u8, 1, 0], bytes[..8]);
        var data = 10 + BitConverter.ToUInt16(bytes, 8);
        Assert.Equal(0, data % 64);
        Assert.Equal("{'descr': '|b1', 'fortran_order': False, 'shape': (2, 3, 4), }", Encoding.ASCII.GetString(bytes[10..data]).TrimEnd());
        Assert.Equal((byte)'\n', bytes[data - 1]);
        Assert.Equal(24, bytes.Length - data);
        Assert.Equal([6, 23], Enumerable.Range(0, 24).Where(i => bytes[data + i] == 1));
        Assert.Equal([folder["mask.npy"]], Directory.GetFiles(folder.Path));
    }
}
