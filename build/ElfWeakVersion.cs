#nullable disable

using System;
using System.Collections.Generic;
using System.IO;
using System.Text;

namespace NablaGen.Build
{
    /// <summary>
    /// Marks one needed symbol version of an ELF library as weak, so that a machine whose library lacks it still loads the file.
    /// </summary>
    /// <remarks>
    /// TorchSharp 0.107.0's libLibTorchSharp.so asks libstdc++ for GLIBCXX_3.4.32 (GCC 13) for the sole symbol
    /// _ZSt21ios_base_library_initv, which nothing calls. Debian 12 and Ubuntu 22.04 have an older libstdc++ and refuse to
    /// load it. With VER_FLG_WEAK set in the version's vna_flags (section .gnu.version_r) the loader lets it pass.
    /// C# 7: MSBuild compiles this file as an inline task; the tests compile it too.
    /// </remarks>
    public static class ElfWeakVersion
    {
        private const int SectionTypeVersionNeed = 0x6ffffffe; // SHT_GNU_verneed
        private const ushort WeakFlag = 2;                     // VER_FLG_WEAK

        /// <summary>Sets the weak flag of every need of <paramref name="version"/> in <paramref name="file"/>.</summary>
        /// <param name="file">The whole file, changed in place.</param>
        /// <param name="version">The version's name, such as GLIBCXX_3.4.32.</param>
        /// <returns>How many flags were changed: 0 for a file that is not 64-bit little-endian ELF, has no such need or is done already.</returns>
        public static int Apply(byte[] file, string version)
        {
            var changed = 0;
            foreach (var flags in FindFlags(file, version))
            {
                var value = ReadU16(file, flags);
                if ((value & WeakFlag) != 0)
                {
                    continue;
                }

                value |= WeakFlag;
                file[flags] = (byte)value;
                file[flags + 1] = (byte)(value >> 8);
                changed++;
            }

            return changed;
        }

        /// <summary>Copies <paramref name="source"/> to <paramref name="target"/> with the flag set; the copy keeps the source's time.</summary>
        /// <returns>How many flags were changed in the copy.</returns>
        public static int CopyPatched(string source, string target, string version)
        {
            var bytes = File.ReadAllBytes(source);
            var changed = Apply(bytes, version);
            Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(target)));
            var partial = target + ".partial";
            File.WriteAllBytes(partial, bytes);
            File.SetLastWriteTimeUtc(partial, File.GetLastWriteTimeUtc(source));
            if (File.Exists(target))
            {
                File.Delete(target);
            }

            File.Move(partial, target);
            return changed;
        }

        // Offsets in the file of the vna_flags of each Vernaux entry whose name is the version.
        private static List<int> FindFlags(byte[] file, string version)
        {
            var found = new List<int>();
            // e_ident: magic, 64-bit, little-endian.
            if (file.Length < 64 || file[0] != 0x7f || file[1] != 'E' || file[2] != 'L' || file[3] != 'F' || file[4] != 2 || file[5] != 1)
            {
                return found;
            }

            var sections = ReadU64(file, 0x28);  // e_shoff
            var entrySize = ReadU16(file, 0x3a); // e_shentsize
            var count = ReadU16(file, 0x3c);     // e_shnum
            if (entrySize < 64 || sections < 64 || sections + (long)entrySize * count > file.Length)
            {
                return found;
            }

            for (var i = 0; i < count; i++)
            {
                var section = (int)sections + i * entrySize;
                if (ReadU32(file, section + 4) != SectionTypeVersionNeed)
                {
                    continue;
                }

                var link = ReadU32(file, section + 0x28);
                if (link < 0 || link >= count)
                {
                    continue;
                }

                var strings = (int)sections + link * entrySize;
                Walk(file, ReadU64(file, section + 0x18), ReadU64(file, section + 0x20),
                    ReadU64(file, strings + 0x18), ReadU64(file, strings + 0x20), version, found);
            }

            return found;
        }

        // One .gnu.version_r section: a chain of Verneed, each with a chain of Vernaux.
        private static void Walk(byte[] file, long start, long size, long strings, long stringsSize, string version, List<int> found)
        {
            if (start < 0 || size < 0 || start + size > file.Length || strings < 0 || stringsSize < 0 || strings + stringsSize > file.Length)
            {
                return;
            }

            var need = start;
            while (need + 16 <= start + size)
            {
                var auxCount = ReadU16(file, (int)need + 2);          // vn_cnt
                var aux = need + (uint)ReadU32(file, (int)need + 8);  // vn_aux
                for (var i = 0; i < auxCount && aux + 16 <= start + size; i++)
                {
                    var name = (uint)ReadU32(file, (int)aux + 8);     // vna_name
                    if (name < stringsSize && NameIs(file, strings + name, strings + stringsSize, version))
                    {
                        found.Add((int)aux + 4);                      // vna_flags
                    }

                    var nextAux = (uint)ReadU32(file, (int)aux + 12); // vna_next
                    if (nextAux == 0)
                    {
                        break;
                    }

                    aux += nextAux;
                }

                var next = (uint)ReadU32(file, (int)need + 12);       // vn_next
                if (next == 0)
                {
                    return;
                }

                need += next;
            }
        }

        private static bool NameIs(byte[] file, long start, long end, string version)
        {
            var wanted = Encoding.ASCII.GetBytes(version);
            if (start + wanted.Length + 1 > end)
            {
                return false;
            }

            for (var i = 0; i < wanted.Length; i++)
            {
                if (file[start + i] != wanted[i])
                {
                    return false;
                }
            }

            return file[start + wanted.Length] == 0;
        }

        private static ushort ReadU16(byte[] file, int at)
        {
            return (ushort)(file[at] | file[at + 1] << 8);
        }

        private static int ReadU32(byte[] file, int at)
        {
            return file[at] | file[at + 1] << 8 | file[at + 2] << 16 | file[at + 3] << 24;
        }

        private static long ReadU64(byte[] file, int at)
        {
            return (uint)ReadU32(file, at) | (long)ReadU32(file, at + 4) << 32;
        }
    }

#if !NABLAGEN_TESTS
    /// <summary>The MSBuild task around <see cref="ElfWeakVersion.CopyPatched"/>.</summary>
    public class PatchElfWeakVersion : Microsoft.Build.Utilities.Task
    {
        /// <summary>The library as its package has it.</summary>
        [Microsoft.Build.Framework.Required]
        public string Source { get; set; }

        /// <summary>Where the patched copy goes.</summary>
        [Microsoft.Build.Framework.Required]
        public string Target { get; set; }

        /// <summary>The symbol version to mark weak.</summary>
        [Microsoft.Build.Framework.Required]
        public string SymbolVersion { get; set; }

        /// <inheritdoc/>
        public override bool Execute()
        {
            var changed = ElfWeakVersion.CopyPatched(Source, Target, SymbolVersion);
            Log.LogMessage("{0}: {1} need(s) of {2} marked weak", Target, changed, SymbolVersion);
            return true;
        }
    }
#endif
}
