import java.io.*;
import java.security.*;
import java.util.*;
import java.util.zip.*;

/** Reads zips by ZipFile ("file") or ZipInputStream ("stream"): a line for each entry, with its SHA-256, or for an error. */
class ReadZip {
    public static void main(String[] arguments) {
        for (String path : Arrays.asList(arguments).subList(1, arguments.length)) {
            StringBuilder lines = new StringBuilder();
            try {
                if (arguments[0].equals("file")) {
                    readFile(path, lines);
                } else {
                    readStream(path, lines);
                }
            } catch (Exception error) {
                lines.append(path + "\t!\t" + error.toString().replaceAll("\\s", " ") + "\n");
            }
            System.out.print(lines);
        }
    }

    static void readFile(String path, StringBuilder lines) throws Exception {
        try (ZipFile zip = new ZipFile(path)) {
            for (ZipEntry entry : Collections.list(zip.entries())) {
                try (InputStream content = zip.getInputStream(entry)) {
                    add(path, entry, content, lines);
                }
            }
        }
    }

    static void readStream(String path, StringBuilder lines) throws Exception {
        try (ZipInputStream zip = new ZipInputStream(new BufferedInputStream(new FileInputStream(path)))) {
            for (ZipEntry entry; (entry = zip.getNextEntry()) != null;) {
                add(path, entry, zip, lines);
            }
        }
    }

    static void add(String path, ZipEntry entry, InputStream content, StringBuilder lines) throws Exception {
        MessageDigest hash = MessageDigest.getInstance("SHA-256");
        byte[] buffer = new byte[1 << 16];
        for (int length; (length = content.read(buffer)) > 0;) {
            hash.update(buffer, 0, length);
        }
        lines.append(path + "\t" + entry.getName() + "\t" + HexFormat.of().formatHex(hash.digest()) + "\n");
    }
}
